//! Whether an answer is the recorded one: everything equal, but for the words of errors.

use serde_json::{Number, Value};

/// The first difference between two answers, with its place.
pub(crate) fn difference(expected: &Value, got: &Value) -> Option<String> {
    differs(expected, got, "", false)
}

fn differs(expected: &Value, got: &Value, at: &str, is_error: bool) -> Option<String> {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            let words = "message";
            let no_words = is_error && expected.contains_key(words) && got.contains_key(words);
            for (key, value) in expected {
                let at = format!("{at}.{key}");
                let Some(other) = got.get(key) else {
                    return Some(format!("{at} is missing"));
                };
                if no_words && key == words {
                    continue;
                }
                let found = differs(value, other, &at, key == "error");
                if found.is_some() {
                    return found;
                }
            }
            let added = got.keys().find(|key| !expected.contains_key(*key));
            added.map(|key| format!("{at}.{key} is too much: {}", got[key]))
        }
        (Value::Array(expected), Value::Array(got)) => {
            if expected.len() != got.len() {
                let (expected, got) = (expected.len(), got.len());
                return Some(format!("{at} has {got} entries, not {expected}"));
            }
            let pairs = expected.iter().zip(got).enumerate();
            pairs.into_iter().find_map(|(index, (expected, got))| {
                differs(expected, got, &format!("{at}[{index}]"), false)
            })
        }
        (Value::Number(a), Value::Number(b)) if same(a, b) => None,
        (expected, got) if expected == got => None,
        (expected, got) => Some(format!("{at} is {got}, not {expected}")),
    }
}

fn same(a: &Number, b: &Number) -> bool {
    a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_of_errors_do_not_count_but_codes_do() {
        let expected = json!({ "error": { "code": 3, "message": "a" }, "calls": [{ "error": { "message": "b", "code": 1 } }] });
        let mut got = expected.clone();
        got["error"]["message"] = json!("other");
        got["calls"][0]["error"]["message"] = json!("words");
        assert_eq!(difference(&expected, &got), None);
        got["error"]["data"] = json!("0x");
        assert!(difference(&expected, &got).unwrap().contains(".error.data is too much"));
        assert!(difference(&got, &expected).unwrap().contains(".error.data is missing"));
    }

    #[test]
    fn numbers_by_value_and_everything_else_by_letter() {
        assert_eq!(difference(&json!([1, 0.5]), &json!([1.0, 0.5])), None);
        for (a, b) in [
            (json!("0x0a"), json!("0xa")),
            (json!("0xA"), json!("0xa")),
            (json!({ "a": null }), json!({})),
            (json!([1, 2]), json!([2, 1])),
            (json!([1]), json!([1, 1])),
            (json!({ "message": "a" }), json!({ "message": "b" })),
            (json!(false), json!(null)),
        ] {
            assert!(difference(&a, &b).is_some() && difference(&b, &a).is_some(), "{a} {b}");
        }
    }
}
