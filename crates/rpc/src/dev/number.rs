//! Numbers as test suites write them: JSON numbers, hexadecimal or decimal strings.

use alloy_primitives::U256;
use core::fmt;
use serde::{Deserialize, Deserializer, de};

/// A number of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flexible(pub(super) u64);

/// A number of 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide(pub(super) U256);

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Wide;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a string with a decimal or hexadecimal number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Wide, E> {
                Ok(Wide(U256::from(number)))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Wide, E> {
                Err(E::custom(format_args!("{number} is negative")))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Wide, E> {
                // What JavaScript makes of large numbers: as long as they are whole they are meant.
                match number >= 0.0 && number.fract() == 0.0 && number < 2f64.powi(128) {
                    true => Ok(Wide(U256::from(number as u128))),
                    false => Err(E::custom(format_args!("{number} is not a whole number"))),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Wide, E> {
                let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
                    Some("") => ("0", 16),
                    Some(digits) => (digits, 16),
                    None => (text, 10),
                };
                let parsed = U256::from_str_radix(digits, radix);
                let parsed = parsed.ok().filter(|_| !digits.is_empty());
                parsed.map(Wide).ok_or_else(|| {
                    E::custom(format_args!("`{text}` is no number of at most 256 bits"))
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Flexible {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wide(number) = Wide::deserialize(deserializer)?;
        let small = u64::try_from(number);
        small.map(Self).map_err(|_| de::Error::custom("the number has more than 64 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_number_is_read() {
        for text in ["255", "\"255\"", "\"0xff\"", "\"0x00ff\"", "255.0", "2.55e2"] {
            assert_eq!(serde_json::from_str::<Flexible>(text).unwrap(), Flexible(255), "{text}");
        }
        assert_eq!(serde_json::from_str::<Wide>("\"0x\"").unwrap(), Wide(U256::ZERO));
        let large = format!("\"{}\"", U256::MAX);
        assert_eq!(serde_json::from_str::<Wide>(&large).unwrap(), Wide(U256::MAX));
        for text in ["-1", "1.5", "\"\"", "\"x\"", "\"0xg\"", "true", "null", "1e60"] {
            assert!(serde_json::from_str::<Wide>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Flexible>("\"0x10000000000000000\"").is_err());
    }
}
