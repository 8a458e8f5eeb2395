//! The language in which messages are declared.
//!
//! ```text
//! schema! {
//!     /// What it is for.
//!     message MetadataRequest 0..=11, flexible 9 {
//!         topics: Option<Vec<MetadataRequestTopic>>, 0.., nullable 1..;
//!         allow_auto_topic_creation: bool, 4.., default true;
//!     }
//!
//!     /// A part of it.
//!     struct MetadataRequestTopic { ... }
//! }
//!
//! message  = "message" NAME FIRST "..=" LAST ["," "flexible" FIRST_FLEXIBLE] "{" field* "}" struct*
//! struct   = "struct" NAME "{" field* "}"
//! field    = name ":" type "," versions ["," ("nullable" versions | "tag" number)] ["," "default" value] ";"
//! ```
//!
//! `Option` makes a field nullable in all its versions, `nullable` limits that to some. A field with a tag
//! stands in the tag section and is written if it differs from its default. Without `default` a number is
//! 0 and anything else, `Option` included, is empty, as in Kafka.
//!
//! For every struct this generates straight-line code, one function for each of [`super::field::Field`].

/// Declares a message and the structs inside it.
macro_rules! schema {
    (
        $(#[$meta:meta])*
        message $name:ident $first:literal..=$last:literal $(, flexible $flexible:literal)? { $($fields:tt)* }
        $($(#[$struct_meta:meta])* struct $struct_name:ident { $($struct_fields:tt)* })*
    ) => {
        schema_struct! { $(#[$meta])* $name { $($fields)* } }
        impl $crate::protocol::Message for $name {
            const VERSIONS: std::ops::RangeInclusive<i16> = $first..=$last;
            const FIRST_FLEXIBLE_VERSION: i16 = schema_or!([$($flexible)?] i16::MAX);
        }
        $(schema_struct! { $(#[$struct_meta])* $struct_name { $($struct_fields)* } })*
    };
}

/// The first of its arguments that is there.
macro_rules! schema_or {
    ([$given:expr] $otherwise:expr) => {
        $given
    };
    ([] $otherwise:expr) => {
        $otherwise
    };
}

/// One field, read where it stands; a tagged one stands in the tag section and begins as its default.
macro_rules! schema_read {
    ($reader:ident $layout:ident $field:ident $versions:tt [] [$tag:literal] $default:expr) => {
        $default
    };
    ($reader:ident $layout:ident $field:ident [$versions:expr] [] [] $default:expr) => {
        if ($versions).contains(&$layout.version) { Field::read($reader, $layout)? } else { $default }
    };
    ($reader:ident $layout:ident $field:ident [$versions:expr] [$nullable:expr] [] $default:expr) => {
        if ($versions).contains(&$layout.version) {
            let value = Field::read($reader, $layout)?;
            if Field::is_null(&value) && !($nullable).contains(&$layout.version) {
                return Err(DecodeError::Null(stringify!($field)));
            }
            value
        } else {
            $default
        }
    };
}

/// One field, written where it stands, unless it is tagged.
macro_rules! schema_write {
    ($writer:ident $layout:ident $value:expr, [$ty:ty] $versions:tt [] [$tag:literal]) => {};
    ($writer:ident $layout:ident $value:expr, [$ty:ty] [$versions:expr] [] []) => {
        if ($versions).contains(&$layout.version) {
            Field::write(&$value, $writer, $layout);
        }
    };
    ($writer:ident $layout:ident $value:expr, [$ty:ty] [$versions:expr] [$nullable:expr] []) => {
        if ($versions).contains(&$layout.version) {
            if Field::is_null(&$value) && !($nullable).contains(&$layout.version) {
                Field::write(&<$ty as Field>::initial(), $writer, $layout);
            } else {
                Field::write(&$value, $writer, $layout);
            }
        }
    };
}

/// Whether a field has a tag and stands in the tag section.
macro_rules! schema_is_tagged {
    ($layout:ident $value:expr, $versions:tt [] $default:expr) => {
        false
    };
    ($layout:ident $value:expr, [$versions:expr] [$tag:literal] $default:expr) => {
        ($versions).contains(&$layout.version) && $value != $default
    };
}

/// One field, written where its tag stands, if it has one.
macro_rules! schema_write_tagged {
    ($tags:ident $writer:ident $layout:ident $value:expr, $versions:tt [] $default:expr) => {};
    ($tags:ident $writer:ident $layout:ident $value:expr, $versions:tt [$tag:literal] $default:expr) => {
        if schema_is_tagged!($layout $value, $versions [$tag] $default) {
            $tags.field($writer, $tag, |writer| Field::write(&$value, writer, $layout));
        }
    };
}

/// Bytes that a field takes at least where it stands.
macro_rules! schema_size_min {
    ($layout:ident [$ty:ty] $versions:tt [$tag:literal]) => {
        0
    };
    ($layout:ident [$ty:ty] [$versions:expr] []) => {
        if ($versions).contains(&$layout.version) { <$ty as Field>::size_min($layout) } else { 0 }
    };
}

/// Whether a field is part of the JSON view: a tagged one only if it differs from its default.
macro_rules! schema_is_shown {
    ($layout:ident $value:expr, [$versions:expr] [] $default:expr) => {
        ($versions).contains(&$layout.version)
    };
    ($layout:ident $value:expr, $versions:tt [$tag:literal] $default:expr) => {
        schema_is_tagged!($layout $value, $versions [$tag] $default)
    };
}

/// Declares one struct.
macro_rules! schema_struct {
    ($(#[$meta:meta])* $name:ident {$(
        $(#[$field_meta:meta])*
        $field:ident: $ty:ty, $versions:expr
        $(, nullable $nullable:expr)? $(, tag $tag:literal)? $(, default $default:expr)?;
    )*}) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[doc = concat!(
                    "Versions ", stringify!($versions)
                    $(, ", nullable in ", stringify!($nullable))?
                    $(, ", tag ", stringify!($tag))?
                    $(, ", default ", stringify!($default))?,
                    "."
                )]
                pub $field: $ty,
            )*
            /// Tagged fields that the schema does not name.
            pub unknown_tags: $crate::protocol::UnknownTags,
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    $($field: schema_or!([$($default)?] <$ty as $crate::protocol::field::Field>::initial()),)*
                    unknown_tags: Default::default(),
                }
            }
        }

        const _: () = {
            use $crate::protocol::field::{Field, Layout};
            use $crate::protocol::{DecodeError, Reader, UnknownTags, Writer, json, tags::TagWriter};

            // Structs without tagged fields leave parts of the pattern idle.
            #[allow(unused_mut, unused_variables, unreachable_code, clippy::identity_op)]
            impl Field for $name {
                #[inline]
                fn initial() -> Self {
                    Self::default()
                }

                fn size_min(layout: Layout) -> usize {
                    usize::from(layout.flexible)
                        $(+ schema_size_min!(layout [$ty] [$versions] [$($tag)?]))*
                }

                fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
                    $(let mut $field: $ty = schema_read!(
                        reader layout $field [$versions] [$($nullable)?] [$($tag)?]
                        schema_or!([$($default)?] <$ty as Field>::initial())
                    );)*
                    let mut unknown_tags = UnknownTags::default();
                    if layout.flexible {
                        unknown_tags = UnknownTags::read(reader, |reader, tag| {
                            match tag {
                                $($($tag if ($versions).contains(&layout.version) => {
                                    $field = Field::read(reader, layout)?;
                                })?)*
                                _ => return Ok(false),
                            }
                            Ok(true)
                        })?;
                    }
                    Ok($name { $($field,)* unknown_tags })
                }

                fn write(&self, writer: &mut Writer, layout: Layout) {
                    $(schema_write!(
                        writer layout self.$field, [$ty] [$versions] [$($nullable)?] [$($tag)?]
                    );)*
                    if !layout.flexible {
                        return;
                    }
                    let known_count = 0 $(+ u32::from(schema_is_tagged!(
                        layout self.$field, [$versions] [$($tag)?]
                        schema_or!([$($default)?] <$ty as Field>::initial())
                    )))*;
                    if known_count == 0 {
                        return writer.unknown_tags(&self.unknown_tags);
                    }
                    let mut tags = TagWriter::new(writer, &self.unknown_tags, known_count);
                    $(schema_write_tagged!(
                        tags writer layout self.$field, [$versions] [$($tag)?]
                        schema_or!([$($default)?] <$ty as Field>::initial())
                    );)*
                    tags.finish(writer);
                }

                fn to_json(&self, layout: Layout) -> serde_json::Value {
                    let mut object = serde_json::Map::new();
                    $(if schema_is_shown!(
                        layout self.$field, [$versions] [$($tag)?]
                        schema_or!([$($default)?] <$ty as Field>::initial())
                    ) {
                        json::insert(&mut object, stringify!($field), &self.$field, layout);
                    })*
                    serde_json::Value::Object(object)
                }
            }
        };
    };
}
