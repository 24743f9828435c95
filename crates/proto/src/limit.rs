//! Tables of limits: each limit is named once, with its default, its unit and what it guards.
//! Nothing here decides whether a limit is broken.

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Things.
    Count,
    /// Things in a second.
    PerSecond,
}

/// One limit of a table, a field of `T`.
#[derive(Debug)]
pub struct Limit<T: 'static> {
    /// The name of its field.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The words of its field, line by line.
    pub words: &'static [&'static str],
    /// The least that makes sense.
    pub least: u64,
    /// The most that its field can hold, which stands for no limit.
    pub most: u64,
    /// Reads it.
    pub read: fn(&T) -> u64,
    /// Sets it; what is more than its field can hold becomes that.
    pub write: fn(&mut T, u64),
}

/// A number that a limit can be.
#[doc(hidden)]
pub trait Number: Copy {
    /// The most that it can hold.
    const MOST: u64;
    /// As any number.
    fn widen(self) -> u64;
    /// From any number, or the most that it can hold.
    fn narrow(value: u64) -> Self;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Number for $number {
            const MOST: u64 = <$number>::MAX as u64;
            #[allow(clippy::unnecessary_fallible_conversions, reason = "not of every number")]
            fn widen(self) -> u64 {
                u64::try_from(self).unwrap_or(u64::MAX)
            }
            #[allow(clippy::unnecessary_fallible_conversions, reason = "not of every number")]
            fn narrow(value: u64) -> Self {
                Self::try_from(value).unwrap_or(Self::MAX)
            }
        }
    )*};
}
numbers!(u32, u64, usize);

/// Makes a struct of limits with its defaults, and the table of them in `ROWS`. A row is a field:
/// its words, name and type, its default, its unit, and the least that makes sense.
#[doc(hidden)]
#[macro_export]
macro_rules! limits {
    (
        $(#[$about:meta])*
        pub struct $Limits:ident {
            $(part $(#[$part_about:meta])* $part:ident: $Part:ty;)*
            $(
                $(#[doc = $words:literal])+
                $name:ident: $number:ty = $default:expr, $unit:ident, $least:literal;
            )+
        }
    ) => {
        $(#[$about])*
        pub struct $Limits {
            $($(#[$part_about])* pub $part: $Part,)*
            $(
                $(#[doc = $words])+
                #[doc = concat!("\n\nDefault `", stringify!($default), "`.")]
                pub $name: $number,
            )+
        }

        impl Default for $Limits {
            fn default() -> Self {
                Self {
                    $($part: <$Part>::default(),)*
                    $($name: $default,)+
                }
            }
        }

        impl $Limits {
            /// The table of these limits, in the order of their fields.
            #[doc(hidden)]
            pub const ROWS: &'static [$crate::Limit<Self>] = &[$($crate::Limit {
                name: stringify!($name),
                unit: $crate::Unit::$unit,
                words: &[$($words),+],
                least: $least,
                most: <$number as $crate::Number>::MOST,
                read: |limits| $crate::Number::widen(limits.$name),
                write: |limits, value| limits.$name = $crate::Number::narrow(value),
            }),+];
        }
    };
}
