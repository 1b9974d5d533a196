//! Whether a value fits a JSON Schema, as far as the schemas of the cases go.

use regex::Regex;
use serde_json::{Map, Value};

/// Why a value does not fit a schema; none where it does.
pub(crate) fn misfit(schema: &Value, value: &Value) -> Option<String> {
    let schema = match schema {
        Value::Bool(true) => return None,
        Value::Object(schema) => schema,
        other => return Some(format!("no schema: {other}")),
    };
    schema.iter().find_map(|(keyword, wanted)| keyword_misfit(keyword, wanted, schema, value))
}

fn keyword_misfit(
    keyword: &str,
    wanted: &Value,
    schema: &Map<String, Value>,
    value: &Value,
) -> Option<String> {
    let unless = |fits: bool| (!fits).then(|| format!("{keyword} {wanted} does not fit {value}"));
    let alternatives = || wanted.as_array().unwrap().iter().map(|one| misfit(one, value));
    match keyword {
        "type" => unless(is_of_type(wanted, value)),
        "enum" => unless(wanted.as_array().unwrap().contains(value)),
        "pattern" => {
            let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
            unless(value.as_str().is_none_or(|text| pattern.is_match(text)))
        }
        "minimum" => unless(value.as_f64().is_none_or(|v| v >= wanted.as_f64().unwrap())),
        "maximum" => unless(value.as_f64().is_none_or(|v| v <= wanted.as_f64().unwrap())),
        "anyOf" => {
            let misfits: Vec<_> = alternatives().collect();
            let fits = misfits.iter().any(Option::is_none);
            (!fits).then(|| format!("none of: {misfits:?}"))
        }
        "oneOf" => {
            let misfits: Vec<_> = alternatives().collect();
            let fitting = misfits.iter().filter(|misfit| misfit.is_none()).count();
            (fitting != 1).then(|| format!("{fitting} of: {misfits:?}"))
        }
        "items" => value.as_array()?.iter().find_map(|item| misfit(wanted, item)),
        "required" => {
            let object = value.as_object()?;
            let missing = wanted
                .as_array()
                .unwrap()
                .iter()
                .find(|name| !object.contains_key(name.as_str().unwrap()));
            missing.map(|name| format!("{name} is missing"))
        }
        "properties" => {
            let object = value.as_object()?;
            wanted.as_object().unwrap().iter().find_map(|(name, schema)| {
                let found = misfit(schema, object.get(name)?)?;
                Some(format!("{name}: {found}"))
            })
        }
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Value::as_object);
            let is_known = |name: &str| known.is_some_and(|known| known.contains_key(name));
            let mut others = value.as_object()?.iter().filter(|(name, _)| !is_known(name));
            others.find_map(|(name, value)| match wanted {
                Value::Bool(false) => Some(format!("{name} is too much")),
                schema => misfit(schema, value),
            })
        }
        "title" | "description" => None,
        _ => panic!("the keyword {keyword} is not understood"),
    }
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => panic!("the type {name} is not understood"),
    };
    match wanted {
        Value::String(name) => is(name),
        names => names.as_array().unwrap().iter().any(|name| is(name.as_str().unwrap())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_keyword_can_be_missed() {
        let schema = json!({
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {
                "a": { "type": "string", "pattern": "^0x[0-9]+$" },
                "b": { "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 3 } },
                "c": { "oneOf": [{ "type": "null" }, { "enum": ["x"] }] },
                "d": { "anyOf": [{ "type": "null" }, {}] },
            },
        });
        let fits = json!({ "a": "0x1", "b": [1, 3], "c": "x", "d": 5 });
        assert_eq!(misfit(&schema, &fits), None);
        for wrong in [
            json!([]),
            json!({}),
            json!({ "a": 1 }),
            json!({ "a": "1" }),
            json!({ "a": "0x1", "e": 1 }),
            json!({ "a": "0x1", "b": [0] }),
            json!({ "a": "0x1", "b": [4] }),
            json!({ "a": "0x1", "b": [1.5] }),
            json!({ "a": "0x1", "c": "y" }),
        ] {
            assert!(misfit(&schema, &wrong).is_some(), "{wrong}");
        }
    }
}
