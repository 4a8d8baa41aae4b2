//! Builds ONNX graphs: nodes, constants, inputs and outputs with symbolic dimensions.

use std::collections::{HashMap, HashSet};

use super::proto::{
    AttributeProto, DimProto, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto,
    ValueInfoProto, attribute_type, elem,
};

/// The default operator set of graphs built here, unless another is asked for.
pub const OPSET: i64 = 17;

/// Longest integer constant whose elements are kept at hand: axes, steps, shapes.
const MAX_KNOWN_INTS: i64 = 64;

/// Domain of the runtime's own operators.
pub const MICROSOFT: &str = "com.microsoft";

/// A graph under construction. Values are known by name; fresh names never collide with known ones.
#[derive(Debug)]
pub struct Builder {
    graph: GraphProto,
    opset: i64,
    taken: HashSet<String>,
    counters: HashMap<String, usize>,
    constants: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
    known_ints: HashMap<String, Vec<i64>>,
}

impl Builder {
    /// An empty graph of the default operator set, version [`OPSET`].
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with_opset(name, OPSET)
    }

    /// An empty graph whose nodes are those of the default operator set in version `opset`, at
    /// least 13.
    #[must_use]
    pub fn with_opset(name: &str, opset: i64) -> Self {
        let graph = GraphProto {
            name: name.into(),
            ..GraphProto::default()
        };
        Self {
            graph,
            opset,
            taken: HashSet::new(),
            counters: HashMap::new(),
            constants: HashMap::new(),
            known_ints: HashMap::new(),
        }
    }

    /// The version of the default operator set.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Reserves names that fresh ones must not collide with.
    pub fn reserve<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.taken.extend(names.into_iter().map(str::to_owned));
    }

    /// A name not in use, derived from `base`.
    pub fn fresh(&mut self, base: &str) -> String {
        let counter = self.counters.entry(base.to_owned()).or_default();
        loop {
            let name = if *counter == 0 {
                base.to_owned()
            } else {
                format!("{base}_{counter}")
            };
            *counter += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// Declares a graph input and gives back its name.
    pub fn input(&mut self, name: &str, elem_type: i32, dims: &[DimProto]) -> String {
        self.taken.insert(name.to_owned());
        let value = ValueInfoProto::tensor(name, elem_type, dims.to_vec());
        self.graph.input.push(value);
        name.to_owned()
    }

    /// Declares a value as graph output.
    pub fn output(&mut self, name: &str, elem_type: i32, dims: &[DimProto]) {
        let value = ValueInfoProto::tensor(name, elem_type, dims.to_vec());
        self.graph.output.push(value);
    }

    /// Adds an initializer under its own name.
    pub fn initializer(&mut self, tensor: TensorProto) -> String {
        let name = tensor.name.clone();
        self.taken.insert(name.clone());
        self.note_ints(&name, &tensor);
        self.graph.initializer.push(tensor);
        name
    }

    /// Adds an f32 initializer.
    pub fn f32(&mut self, name: &str, dims: &[i64], data: &[f32]) -> String {
        self.initializer(TensorProto::from_f32(name, dims, data))
    }

    /// A small f32 scalar constant; equal ones are shared.
    pub fn scalar(&mut self, value: f32) -> String {
        self.constant(TensorProto::from_f32("constant", &[], &[value]))
    }

    /// A small i64 vector constant; equal ones are shared.
    #[expect(clippy::cast_possible_wrap, reason = "a short list of axes or sizes")]
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.constant(TensorProto::from_i64(
            "constant",
            &[values.len() as i64],
            values,
        ))
    }

    /// A constant under a fresh name; equal ones are shared.
    pub fn constant(&mut self, mut tensor: TensorProto) -> String {
        let key = (
            tensor.data_type,
            tensor.dims.clone(),
            tensor.raw_data.clone().unwrap_or_default(),
        );
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        tensor.name = self.fresh("constant");
        self.constants.insert(key, tensor.name.clone());
        self.initializer(tensor)
    }

    /// Adds a standard operator with one output and no attributes.
    pub fn call(&mut self, op_type: &str, inputs: &[&str]) -> String {
        self.op(op_type, inputs, &[])
    }

    /// Adds a reduction (`ReduceMean`, `ReduceMax`, ...) over `axes`, or over all axes when none are
    /// given. The axes go where the operator set wants them: into an input of `ReduceSum`, and of the
    /// others from version 18 on; else into an attribute.
    pub fn reduce(&mut self, op_type: &str, x: &str, axes: &[i64], keepdims: bool) -> String {
        let keepdims = int("keepdims", keepdims.into());
        if axes.is_empty() {
            self.op(op_type, &[x], &[keepdims])
        } else if op_type == "ReduceSum" || self.opset >= 18 {
            let axes = self.ints(axes);
            self.op(op_type, &[x, &axes], &[keepdims])
        } else {
            self.op(op_type, &[x], &[ints("axes", axes), keepdims])
        }
    }

    /// Sums over the axes that the value `axes` (`[n]`, i64) lists; over none when it is empty.
    pub fn sum_axes(&mut self, x: &str, axes: &str, keepdims: bool) -> String {
        let attributes = [
            int("keepdims", keepdims.into()),
            int("noop_with_empty_axes", 1),
        ];
        self.op("ReduceSum", &[x, axes], &attributes)
    }

    /// Adds a standard operator with one output.
    pub fn op(&mut self, op_type: &str, inputs: &[&str], attributes: &[AttributeProto]) -> String {
        self.op_in("", op_type, inputs, attributes)
    }

    /// Adds an operator of a domain with one output.
    pub fn op_in(
        &mut self,
        domain: &str,
        op_type: &str,
        inputs: &[&str],
        attributes: &[AttributeProto],
    ) -> String {
        let output = self.fresh(op_type);
        self.op_to(domain, op_type, inputs, &[&output], attributes);
        output
    }

    /// Adds an operator that writes to given names.
    pub fn op_to(
        &mut self,
        domain: &str,
        op_type: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[AttributeProto],
    ) {
        self.taken.extend(outputs.iter().map(|&o| o.to_owned()));
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.graph.node.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            name: outputs
                .first()
                .map_or(String::new(), |&o| format!("{o}_node")),
            op_type: op_type.into(),
            attribute: attributes.to_vec(),
            domain: domain.into(),
            ..NodeProto::default()
        });
    }

    /// Adds a node as it is.
    pub fn node(&mut self, node: NodeProto) {
        self.taken.extend(node.output.iter().cloned());
        if node.op_type == "Constant"
            && let (Some(name), Some(value)) = (node.output_at(0), node.attribute("value"))
            && let Some(tensor) = &value.t
        {
            self.note_ints(name, tensor);
        }
        self.graph.node.push(node);
    }

    /// The elements of a small integer constant: an initializer or the value of a `Constant` node,
    /// i64 or i32. `None` for any other value.
    #[must_use]
    pub fn known_ints(&self, name: &str) -> Option<&[i64]> {
        self.known_ints.get(name).map(Vec::as_slice)
    }

    fn note_ints(&mut self, name: &str, tensor: &TensorProto) {
        let small = tensor
            .dims
            .iter()
            .all(|dim| (0..=MAX_KNOWN_INTS).contains(dim));
        if !small || tensor.dims.len() > 1 {
            return;
        }
        let ints = match (tensor.data_type, &tensor.raw_data) {
            (elem::INT64, _) => tensor.to_i64().ok(),
            (elem::INT32, Some(raw)) => {
                let ints = raw.as_chunks::<4>().0.iter();
                Some(ints.map(|b| i32::from_le_bytes(*b).into()).collect())
            }
            _ => None,
        };
        if let Some(ints) = ints {
            self.known_ints.insert(name.to_owned(), ints);
        }
    }

    /// The finished model.
    #[must_use]
    pub fn finish(self) -> ModelProto {
        let import = |domain: &str, version| OperatorSetId {
            domain: domain.into(),
            version,
        };
        ModelProto {
            ir_version: 8,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: vec![import("", self.opset), import(MICROSOFT, 1)],
            ..ModelProto::default()
        }
    }
}

/// An integer attribute.
#[must_use]
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: value,
        r#type: attribute_type::INT,
        ..AttributeProto::default()
    }
}

/// A list of integers as attribute.
#[must_use]
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.to_vec(),
        r#type: attribute_type::INTS,
        ..AttributeProto::default()
    }
}

/// A float attribute.
#[must_use]
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f: value,
        r#type: attribute_type::FLOAT,
        ..AttributeProto::default()
    }
}

/// A text attribute.
#[must_use]
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        s: value.as_bytes().to_vec(),
        r#type: attribute_type::STRING,
        ..AttributeProto::default()
    }
}

/// A tensor as attribute.
#[must_use]
pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        t: Some(value),
        r#type: attribute_type::TENSOR,
        ..AttributeProto::default()
    }
}
