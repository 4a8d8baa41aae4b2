//! Sizes with names.

/// Most named sizes in one product.
const MAX_NAMES: usize = 8;
/// Longest name that is made from others.
const MAX_NAME_BYTES: usize = 200;

/// Begins the names of unknown sizes; none that is declared begins so.
pub(super) const UNKNOWN: char = '?';

/// A whole number times named sizes: `384`, `batch`, `12 * batch * tokens`. Also the contents of
/// integer values, which may be negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Size {
    factor: i64,
    /// Sorted; a name may occur more than once.
    names: Vec<String>,
}

impl Size {
    /// A number, as a dimension.
    #[expect(clippy::unnecessary_wraps, reason = "a dimension may be unknown")]
    pub(in super::super) fn known(number: i64) -> Option<Self> {
        Some(Self {
            factor: number,
            names: Vec::new(),
        })
    }

    /// A named size.
    pub(in super::super) fn named(name: &str) -> Self {
        Self {
            factor: 1,
            names: vec![name.to_owned()],
        }
    }

    /// A size that is unknown but has a name of its own, which no other size has.
    pub(super) fn unknown(number: usize) -> Self {
        Self::named(&format!("{UNKNOWN}{number}"))
    }

    /// The number, if it is one.
    pub(in super::super) fn number(&self) -> Option<i64> {
        (self.names.is_empty() || self.factor == 0).then_some(self.factor)
    }

    /// The product.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let mut names = [self.names.as_slice(), &other.names].concat();
        names.sort_unstable();
        let factor = self.factor.checked_mul(other.factor)?;
        (names.len() <= MAX_NAMES).then_some(Self { factor, names })
    }

    /// The quotient, when it is known to be without remainder; also the whole quotient of numbers.
    pub(super) fn over(&self, other: &Self) -> Option<Self> {
        if let (Some(a), Some(b)) = (self.number(), other.number()) {
            return Self::known(a.checked_div(b)?);
        }
        if other.factor == 0 || self.factor.checked_rem(other.factor)? != 0 {
            return None;
        }
        let mut names = self.names.clone();
        for name in &other.names {
            names.remove(names.iter().position(|own| own == name)?);
        }
        Some(Self {
            factor: self.factor / other.factor,
            names,
        })
    }

    /// The sum; that of named sizes is a name of its own.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => Self::known(a.checked_add(b)?),
            (Some(0), None) => Some(other.clone()),
            (None, Some(0)) => Some(self.clone()),
            _ if self.names == other.names => Some(Self {
                factor: self.factor.checked_add(other.factor)?,
                names: self.names.clone(),
            }),
            _ => {
                let mut parts = [self.to_string(), other.to_string()];
                parts.sort_unstable();
                let name = format!("({} + {})", parts[0], parts[1]);
                (name.len() <= MAX_NAME_BYTES).then(|| Self::named(&name))
            }
        }
    }

    /// The difference, when it is a number, a multiple, or the size itself.
    pub(super) fn minus(&self, other: &Self) -> Option<Self> {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => Self::known(a.checked_sub(b)?),
            (None, Some(0)) => Some(self.clone()),
            _ if self.names == other.names => Some(Self {
                factor: self.factor.checked_sub(other.factor)?,
                names: self.names.clone(),
            }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (1, [name]) = (self.factor, self.names.as_slice())
            && name.starts_with(UNKNOWN)
        {
            return write!(f, "{UNKNOWN}");
        }
        write!(f, "{}", self.factor)?;
        self.names
            .iter()
            .try_for_each(|name| write!(f, " * {name}"))
    }
}

/// The product of all; `None` when one is unknown.
pub(super) fn product(dims: &[Option<Size>]) -> Option<Size> {
    dims.iter()
        .try_fold(Size::known(1)?, |product, dim| product.times(dim.as_ref()?))
}
