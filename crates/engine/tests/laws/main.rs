//! The laws of the engine (they stand in ARCHITECTURE.md), each tried on every backend as a test of its own.
//! Nothing here sleeps, uses a fixed port, or trusts freed memory.
//!
//! Where the system refuses io_uring its tests fail, unless SPRINGTIDE_WITHOUT_URING=1 says that
//! it is known.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accepting;
mod at_once;
mod checking;
mod chunks;
mod closing;
mod datagrams;
mod fairness;
mod faults;
mod files;
mod late;
mod lengths;
mod mapped;
mod operations;
mod progress;
mod quiet;
mod refused;
mod refusing;
mod shard;
mod splicing;
mod stage;
mod streams;
mod time;
mod unix;
mod watching;
mod writing;

use std::sync::{PoisonError, RwLock};

use stage::{Epoll, Poll, Simulated, Stage, Uring};

/// Laws run beside each other, but for those that count descriptors or spoil memory.
static ALONE: RwLock<()> = RwLock::new(());

fn beside_others<S: Stage>(law: fn(&S)) {
    let _shared = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    run(law);
}

fn alone<S: Stage>(law: fn(&S)) {
    let _exclusive = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    run(law);
}

fn is_without_uring() -> bool {
    std::env::var_os("SPRINGTIDE_WITHOUT_URING").is_some_and(|yes| yes == "1")
}

fn run<S: Stage>(law: fn(&S)) {
    if S::IS_URING && is_without_uring() {
        return;
    }
    springtide_engine::descriptors_max_raise().unwrap();
    mapped::forget();
    let stage = S::open();
    law(&stage);
    drop(stage);
    mapped::verify();
    checking::verify();
}

macro_rules! on {
    ($stage:ident $way:ident $($module:ident: $($law:ident)*;)*) => {
        $($(
            #[test]
            fn $law() {
                crate::$way::<crate::$stage>(crate::$module::$law);
            }
        )*)*
    };
}

macro_rules! laws {
    ($($way:ident { $($laws:tt)* })*) => {
        mod simulated { $(on! { Simulated $way $($laws)* })* }
        mod uring { $(on! { Uring $way $($laws)* })* }
        mod epoll { $(on! { Epoll $way $($laws)* })* }
        mod poll { $(on! { Poll $way $($laws)* })* }
    };
}

laws! {
    beside_others {
        operations:
            operations_end_exactly_once
            submit_and_cancel_deliver_nothing
            ten_thousand_are_cancelled_in_one_turn
            limits_have_names
            misuse_is_refused
            stale_keys_are_ignored
            quiesce_ends_everything
            connects_end_either_way;
        streams:
            sends_keep_their_order
            pieces_leave_in_order
            many_sends_of_one_turn_arrive
            a_cancelled_send_tells_how_far_it_came
            a_send_to_a_half_closed_peer_is_cancelled
            a_send_to_a_half_closed_peer_waits_for_room
            a_paused_receive_loses_nothing
            a_receive_into_memory_loses_nothing
            a_half_closed_peer_still_gets_what_is_sent
            a_shutdown_waits_for_the_send
            a_reset_is_a_peer_that_is_gone
            a_peer_that_is_gone_is_seen_by_asking
            two_that_forward_never_stall
            last_bytes_come_before_the_end;
        at_once:
            a_reset_met_at_once_is_told
            what_is_taken_at_once_is_next
            what_is_taken_without_a_receive_keeps_its_order
            what_is_sent_at_once_keeps_its_order
            what_is_sent_to_each_is_told_to_the_byte
            a_send_of_nothing_waits_for_room;
        splicing:
            a_wait_for_bytes_takes_none
            what_is_spliced_keeps_its_order
            a_reset_met_by_a_splice_is_told;
        watching:
            a_watch_tells_of_all_that_comes
            a_watch_tells_of_the_end_beside_bytes
            what_is_left_a_new_watch_tells_of
            a_watch_stands_in_place_of_a_receive;
        progress:
            a_send_tells_its_progress
            progress_begins_behind_what_was_sent;
        accepting:
            a_cancelled_accept_keeps_its_connections
            listeners_share_a_port_on_request_only
            addresses_are_told;
        closing:
            a_close_waits_for_the_last_operation
            who_has_nothing_to_say_is_gone
            a_close_behind_a_send_loses_nothing
            many_close_at_once
            a_close_may_be_a_reset
            a_closed_listener_frees_its_port;
        chunks:
            over_the_budget_is_a_named_error
            an_exhausted_ring_parks_and_resumes
            buffers_from_other_threads_wake_who_waits
            a_small_queue_loses_nothing
            a_small_queue_accepts_all;
        lengths:
            no_count_is_an_error
            a_small_ring_keeps_every_order;
        fairness:
            small_messages_pass_beside_a_flood;
        writing:
            files_are_written_and_read_again
            writes_fail_with_their_memory
            files_do_what_they_were_opened_for
            names_are_made_moved_and_taken_away
            what_is_cancelled_on_files_ends_once
            a_close_waits_for_what_is_written;
        files:
            files_are_opened_and_read
            no_path_leads_out_of_the_root
            cold_files_are_read
            what_is_passed_keeps_its_order
            what_is_cold_is_not_passed
            names_in_a_directory_are_told
            a_cancelled_read_keeps_its_memory;
        datagrams:
            datagrams_come_as_they_were_sent
            lost_datagrams_end_no_socket
            datagrams_share_a_port_on_request_only;
        unix:
            unix_streams_have_paths_and_names
            unix_connects_never_wait
            only_dead_sockets_are_replaced;
        time:
            timeouts_come_in_order
            a_waker_ends_a_wait
            a_wait_ends_with_far_timeouts;
    }
    alone {
        operations:
            cancels_find_room_in_a_full_queue
            reused_descriptors_keep_tokens_apart;
        accepting:
            a_released_socket_moves_to_another_engine
            a_number_closed_elsewhere_works_again;
        closing:
            memory_freed_too_early_is_found
            memory_unmapped_too_early_is_found
            a_dropped_engine_leaves_nothing
            a_number_given_out_again_is_not_ready;
        chunks:
            thousands_held_starve_nobody;
        fairness:
            thousands_at_once_take_bounded_turns;
    }
}
