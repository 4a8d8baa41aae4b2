//! The state of a pass under way, as one safetensors file.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::TrainError;
use super::dynamics::{Dynamics, ModelDynamics};
use crate::reward::ModelState;

/// Both models and their dynamics after some epochs, the last one perhaps incomplete.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// What was recorded so far.
    pub dynamics: Dynamics,
    /// Parameters and moments of `a` and `b`.
    pub models: [ModelState; 2],
    /// Batches done of the last epoch, if it is not complete.
    pub batches_done: usize,
}

const MODELS: [char; 2] = ['a', 'b'];

impl TrainState {
    /// Writes the state aside, then renames it; `key` names the pass that it belongs to.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] when the file cannot be written.
    pub fn save(&self, path: &Path, key: &str) -> Result<(), TrainError> {
        let (dynamics, models) = (&self.dynamics, &self.models);
        let failed = |source| TrainError::Checkpoint {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let mut buffers: Vec<(String, Dtype, Vec<u8>)> = Vec::new();
        let floats = |values: &[f32]| {
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let mut metadata = HashMap::from([
            ("key".to_owned(), key.to_owned()),
            ("batches_done".to_owned(), self.batches_done.to_string()),
        ]);
        for ((name, recorded), model) in MODELS.iter().zip(&dynamics.models).zip(models) {
            buffers.push((
                format!("{name}/margin_online"),
                Dtype::F32,
                floats(&recorded.margin_online),
            ));
            buffers.push((
                format!("{name}/margin_end"),
                Dtype::F32,
                floats(&recorded.margin_end),
            ));
            let selected = recorded.selected.iter().map(|&s| u8::from(s)).collect();
            buffers.push((format!("{name}/selected"), Dtype::U8, selected));
            for (tensor, values) in &model.tensors {
                buffers.push((format!("{name}/model/{tensor}"), Dtype::F32, floats(values)));
            }
            metadata.insert(format!("{name}/step"), model.step.to_string());
        }
        let rates = dynamics
            .drop_rates
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        buffers.push(("drop_rates".to_owned(), Dtype::F64, rates));
        let views = buffers.iter().map(|(name, dtype, bytes)| {
            let length = bytes.len() * 8 / dtype.bitsize();
            let view = TensorView::new(*dtype, vec![length], bytes)
                .expect("the length follows from the bytes");
            (name.as_str(), view)
        });
        let bytes = serialize(views, Some(metadata)).map_err(|e| failed(io::Error::other(e)))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<()> {
            let mut aside = tempfile::NamedTempFile::new_in(folder)?;
            aside.write_all(&bytes)?;
            aside.as_file().sync_data()?;
            aside.persist(path)?;
            Ok(())
        };
        write().map_err(failed)
    }

    /// Reads the state of the pass named `key` over `n_pairs` pairs; `None` where there is none.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] when the file is there and cannot be read.
    pub fn load(path: &Path, key: &str, n_pairs: usize) -> Result<Option<Self>, TrainError> {
        let failed = |source| TrainError::Checkpoint {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let invalid =
            |e: safetensors::SafeTensorError| failed(io::Error::new(io::ErrorKind::InvalidData, e));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(invalid)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        if metadata.get("key").map(String::as_str) != Some(key) {
            return Ok(None);
        }
        let batches_done = metadata.get("batches_done").and_then(|n| n.parse().ok());
        let file = SafeTensors::deserialize(&bytes).map_err(invalid)?;
        let read = |name: &str| {
            file.tensor(name)
                .map(|view| view.data().to_vec())
                .map_err(invalid)
        };
        let mut dynamics = Dynamics::new(n_pairs);
        dynamics.drop_rates = read("drop_rates")?
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b))
            .collect();
        dynamics.n_epochs = dynamics.drop_rates.len();
        let mut models = [ModelState::default(), ModelState::default()];
        for (i, name) in MODELS.iter().enumerate() {
            dynamics.models[i] = ModelDynamics {
                margin_online: floats(&read(&format!("{name}/margin_online"))?),
                margin_end: floats(&read(&format!("{name}/margin_end"))?),
                selected: read(&format!("{name}/selected"))?
                    .iter()
                    .map(|&s| s != 0)
                    .collect(),
            };
            if dynamics.models[i].selected.len() != n_pairs * dynamics.n_epochs {
                return Ok(None); // of other data
            }
            models[i].step = metadata
                .get(&format!("{name}/step"))
                .and_then(|s| s.parse().ok())
                .unwrap_or(0);
            let prefix = format!("{name}/model/");
            let mut names: Vec<&str> = file
                .names()
                .into_iter()
                .filter_map(|n| n.strip_prefix(&prefix))
                .collect();
            names.sort_unstable();
            for tensor in names {
                let values = floats(&read(&format!("{prefix}{tensor}"))?);
                models[i].tensors.push((tensor.to_owned(), values));
            }
        }
        Ok(Some(Self {
            dynamics,
            models,
            batches_done: batches_done.unwrap_or(0),
        }))
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}
