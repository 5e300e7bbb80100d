//! Values that are one word or short phrase in the file (`30s`, `any replica`): read, written and described as text.

/// Gives a type that has `FromStr` (with a `String` error) and `Display` the serde and JSON Schema of a string, or another schema
/// where it may be written as something else, too.
macro_rules! text_value {
    ($type:ty, $name:literal, [$($pattern:expr),+], $description:literal) => {
        crate::scenario::text::text_value!($type, $name, $description, {
            "type": "string",
            "allOf": [$({ "pattern": $pattern, "patternErrorMessage": $description }),+],
            "description": $description
        });
    };
    ($type:ty, $name:literal, $description:literal, { $($schema:tt)* }) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ $($schema)* })
            }
        }
    };
}

pub(crate) use text_value;
