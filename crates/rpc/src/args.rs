//! Parameters of a request, by position, with names for error messages.

use crate::RpcError;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The parameters that have not been asked for yet.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    rest: std::vec::IntoIter<&'a RawValue>,
    taken: usize,
}

impl<'a> Args<'a> {
    /// From the text of the parameters: a list, or nothing.
    pub(crate) fn parse(params: Option<&'a str>) -> Result<Self, RpcError> {
        let list: Vec<&RawValue> = match params.map(str::trim) {
            None | Some("" | "null") => Vec::new(),
            Some(text) => serde_json::from_str(text)
                .map_err(|_| RpcError::invalid_params("non-array args"))?,
        };
        Ok(Self { rest: list.into_iter(), taken: 0 })
    }

    /// The next parameter, which has to be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, RpcError> {
        let at = self.taken;
        match self.optional(name)? {
            Some(value) => Ok(value),
            None => {
                let words = format!("missing value for required argument {at} ({name})");
                Err(RpcError::invalid_params(words))
            }
        }
    }

    /// The next parameter; none where it is absent or `null`.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, RpcError> {
        let at = self.taken;
        self.taken += 1;
        let Some(raw) = self.rest.next().filter(|raw| raw.get() != "null") else {
            return Ok(None);
        };
        let read = serde_json::from_str(raw.get()).map(Some);
        read.map_err(|error| {
            RpcError::invalid_params(format!("invalid argument {at} ({name}): {error}"))
        })
    }
}
