//! Numbers and bytes in hexadecimal, read as strictly as geth reads them.

use alloy_primitives::{Address, B256, FixedBytes, U256, hex};
use core::{fmt, ops::Deref};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number: `0x`, then digits without leading zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) u64);

impl Quantity {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let digits = digits(text)?;
        match digits.as_bytes() {
            [] => return Err("hex string \"0x\""),
            [b'0', _, ..] => return Err("hex number with leading zero digits"),
            _ => {}
        }
        // A sign would be read as part of a number.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err("invalid hex string");
        }
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| "hex number > 64 bits")
    }
}

fn digits(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() {
        return Err("empty hex string");
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    digits.ok_or("hex string without 0x prefix")
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; 18];
        let (mut at, mut rest) = (text.len(), self.0);
        loop {
            at -= 1;
            text[at] = DIGITS[(rest & 0xf) as usize];
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        text[at - 1] = b'x';
        let text = core::str::from_utf8(&text[at - 2..]).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, Self::parse)
    }
}

/// A string in JSON that `parse` makes something of.
pub(super) fn text<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Visitor<F>(F);
    impl<T, E: fmt::Display, F: Fn(&str) -> Result<T, E>> de::Visitor<'_> for Visitor<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a hex string")
        }

        fn visit_str<D: de::Error>(self, text: &str) -> Result<T, D> {
            (self.0)(text).map_err(D::custom)
        }
    }
    deserializer.deserialize_str(Visitor(parse))
}

/// An address or a hash: `0x` and exactly as many digits as it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Hex<T>(pub(crate) T);

impl<T> Deref for Hex<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Serialize> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Fixed> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, T::parse).map(Self)
    }
}

/// Bytes of which there is a fixed number.
pub(crate) trait Fixed: Sized {
    fn parse(text: &str) -> Result<Self, String>;
}

impl Fixed for B256 {
    fn parse(text: &str) -> Result<Self, String> {
        fixed(text)
    }
}

impl Fixed for Address {
    fn parse(text: &str) -> Result<Self, String> {
        fixed(text).map(Self)
    }
}

fn fixed<const N: usize>(text: &str) -> Result<FixedBytes<N>, String> {
    let digits = digits(text)?;
    if digits.len() != 2 * N {
        return Err(format!("hex string has length {}, want {}", digits.len(), 2 * N));
    }
    let mut bytes = FixedBytes::ZERO;
    hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| "invalid hex string")?;
    Ok(bytes)
}

/// A storage key of at most 32 bytes; an odd number of digits is as good as an even one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StorageKey {
    /// The key.
    pub(crate) slot: U256,
    /// Whether it was written with all its 64 digits.
    pub(crate) whole: bool,
}

impl StorageKey {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        if digits.len() > 64 {
            return Err(format!("storage key too long (want at most 32 bytes): {text:?}"));
        }
        let slot =
            if digits.is_empty() { Ok(U256::ZERO) } else { U256::from_str_radix(digits, 16) };
        let slot = slot.ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let slot = slot.ok_or_else(|| format!("invalid hex in storage key: {text:?}"))?;
        Ok(Self { slot, whole: digits.len() == 64 })
    }
}

impl<'de> Deserialize<'de> for StorageKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_printed_without_leading_zeros() {
        for (number, text) in [(0, "\"0x0\""), (1, "\"0x1\""), (0x1f0, "\"0x1f0\"")] {
            assert_eq!(serde_json::to_string(&Quantity(number)).unwrap(), text);
        }
        let most = serde_json::to_string(&Quantity(u64::MAX)).unwrap();
        assert_eq!(most, "\"0xffffffffffffffff\"");
        assert_eq!(serde_json::from_str::<Quantity>(&most).unwrap(), Quantity(u64::MAX));
    }

    #[test]
    fn quantities_are_read_strictly() {
        for (text, problem) in [
            ("", "empty hex string"),
            ("2", "hex string without 0x prefix"),
            ("0x", "hex string \"0x\""),
            ("0x01", "leading zero"),
            ("0x+1", "invalid hex"),
            ("0xg", "invalid hex"),
            ("0x10000000000000000", "> 64 bits"),
        ] {
            assert!(Quantity::parse(text).unwrap_err().contains(problem), "{text}");
        }
    }

    #[test]
    fn hashes_need_every_digit() {
        let hash = B256::repeat_byte(0xab);
        let read = |text: &str| serde_json::from_str::<Hex<B256>>(text);
        assert_eq!(read(&format!("\"{hash}\"")).unwrap().0, hash);
        assert!(read("\"0xab\"").is_err() && read("7").is_err());
        assert!(read(&format!("\"{}\"", &hash.to_string()[2..])).is_err());
        assert!(serde_json::from_str::<Hex<Address>>(&format!("\"{hash}\"")).is_err());
    }

    #[test]
    fn storage_keys_may_be_short() {
        let read = |text: &str| StorageKey::parse(text).map(|key| (key.slot, key.whole));
        assert_eq!(read("0x1"), Ok((U256::from(1), false)));
        assert_eq!(read("0x"), Ok((U256::ZERO, false)));
        assert_eq!(read(&B256::with_last_byte(7).to_string()), Ok((U256::from(7), true)));
        assert!(read("0xasdf").is_err());
        assert!(read(&format!("0x{}", "0".repeat(65))).is_err());
    }
}
