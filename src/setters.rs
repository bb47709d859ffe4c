//! Chained setters of option structs.

// What it may call: nothing.

/// Defines a chained setter for each field named, inside the `impl` block of an options struct.
/// After `into` the setter takes whatever converts into the field's type.
macro_rules! setters {
    () => {};
    ($field:ident: into $type:ty, $($rest:tt)*) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$type>) -> Self {
            self.$field = $field.into();
            self
        }
        setters! { $($rest)* }
    };
    ($field:ident: $type:ty, $($rest:tt)*) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
        setters! { $($rest)* }
    };
}
