//! Groups of rows by union-find.

/// Sets of positions that are merged as links between them are found.
#[derive(Debug, Clone)]
pub struct UnionFind {
    parents: Vec<u32>,
}

/// Groups of two or more rows: members ascending, groups by their first member.
pub type Groups = Vec<Vec<u32>>;

impl UnionFind {
    /// `n` sets of one.
    ///
    /// # Panics
    /// If `n` does not fit 32 bits.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let n = u32::try_from(n).expect("positions are 32 bits wide");
        Self {
            parents: (0..n).collect(),
        }
    }

    /// The first member of the set that holds `x`.
    pub fn find(&mut self, mut x: u32) -> u32 {
        while self.parents[x as usize] != x {
            let above = self.parents[self.parents[x as usize] as usize];
            self.parents[x as usize] = above;
            x = above;
        }
        x
    }

    /// Merges two sets; the lower first member leads, so that the result does not depend on
    /// the order of calls. Whether they were two.
    pub fn union(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.parents[a.max(b) as usize] = a.min(b);
        a != b
    }

    /// Groups of the rows that `links` connect, whatever the order of the links.
    #[must_use]
    pub fn groups(links: impl IntoIterator<Item = (u32, u32)>) -> Groups {
        let links: Vec<(u32, u32)> = links.into_iter().collect();
        let mut rows: Vec<u32> = links.iter().flat_map(|&(a, b)| [a, b]).collect();
        rows.sort_unstable();
        rows.dedup();
        let at = |row: u32| {
            let at = rows.binary_search(&row).expect("each end was listed");
            u32::try_from(at).expect("not more than rows")
        };
        let mut sets = Self::new(rows.len());
        for &(a, b) in &links {
            sets.union(at(a), at(b));
        }
        let mut members: Vec<(u32, u32)> = (0..)
            .zip(&rows)
            .map(|(i, &row)| (sets.find(i), row))
            .collect();
        members.sort_unstable();
        members
            .chunk_by(|a, b| a.0 == b.0)
            .map(|group| group.iter().map(|&(_, row)| row).collect::<Vec<_>>())
            .filter(|group| group.len() > 1)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_do_not_depend_on_the_order_of_links() {
        let links = [(9, 4), (1, 7), (4, 2), (30, 20), (7, 1)];
        let expected = vec![vec![1, 7], vec![2, 4, 9], vec![20, 30]];
        assert_eq!(UnionFind::groups(links), expected);
        assert_eq!(UnionFind::groups(links.into_iter().rev()), expected);
        assert_eq!(UnionFind::groups([(3, 3)]), Groups::new());
    }
}
