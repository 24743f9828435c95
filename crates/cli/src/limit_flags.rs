//! A flag for every limit of the library's table.
//! No limit is named here: what the table has, the program has.

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use springtide::{Limit, Limits, Unit};

/// The heading that they stand under, in the help and in files.
pub(crate) const HEADING: &str = "Limits";

/// The limits that the flags say.
#[derive(Debug, Clone, Default)]
pub(crate) struct LimitFlags(Limits);

impl LimitFlags {
    pub(crate) fn limits(&self) -> Limits {
        self.0.clone()
    }
}

impl FromArgMatches for LimitFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut own = Self::default();
        own.update_from_arg_matches(matches).map(|()| own)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for limit in Limits::table() {
            if let Some(text) = matches.get_one::<String>(limit.name()) {
                // It was checked when it was parsed.
                let _ = limit.set(&mut self.0, text);
            }
        }
        Ok(())
    }
}

impl Args for LimitFlags {
    fn augment_args(command: Command) -> Command {
        let standard = Limits::default();
        command.args(Limits::table().map(|limit| flag(limit, &standard)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(limit: Limit, standard: &Limits) -> Arg {
    let check = move |text: &str| limit.set(&mut Limits::default(), text).map(|()| text.to_owned());
    Arg::new(limit.name())
        .long(limit.name().replace('_', "-"))
        .help(limit.words())
        .help_heading(HEADING)
        .value_name(value_name(limit.unit()))
        .default_value(limit.show(standard))
        .value_parser(check)
        .hide_short_help(true)
}

const fn value_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "SIZE",
        Unit::BytesPerSecond => "SIZE-PER-SECOND",
        Unit::Milliseconds => "TIME",
        Unit::Count => "N",
        Unit::PerSecond => "N-PER-SECOND",
    }
}
