//! Broadcasting in all its forms.
