//! Forward, backward and update in the graph: for devices, and for models so small that a call counts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use super::super::runtime::{Device, ExecutionDevice, Runtime};
use super::super::{ModelState, RewardError};
use super::{MicroBatch, StepResult, Trainer, bind_data, bind_results, finite, saved};
use crate::graph::artifacts::Artifacts;
use crate::graph::lower::{self, LEARNING_RATE, LOSS, LoweringOptions, MARGIN, SHARE, STEP};

/// Trains where its graphs run. Parameters live there twice and change places at each update, since
/// an update may run before the last use of what it replaces; moments are updated in place.
pub struct GraphTrainer {
    step: Graph,
    eval: Graph,
    /// For batches of several calls: sums gradients, then updates.
    several: Option<[Graph; 2]>,
    several_onnx: [Vec<u8>; 2],
    parameters: Vec<Held>,
    place: Place,
    /// Which of the two sets of parameters is the present one.
    present: usize,
    steps: u64,
}

/// Where the graphs run, and how.
struct Place {
    runtime: &'static Runtime,
    device: ExecutionDevice,
    threads: usize,
}

/// A session, and its bindings by what they read and write.
struct Graph {
    session: Session,
    bindings: HashMap<Bound, IoBinding>,
}

/// What a binding reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Bound {
    /// The present set of parameters.
    present: usize,
    /// Whether gradients are summed from zero.
    from_zero: bool,
}

struct Held {
    name: String,
    dims: Vec<i64>,
    sets: [Tensor<f32>; 2],
    /// Two for `AdamW`, none for plain gradient descent.
    moments: Vec<Tensor<f32>>,
    /// Zeros, and the sum over micro-batches; made when first needed.
    gradient: Option<[Tensor<f32>; 2]>,
}

impl Place {
    fn graph(&self, onnx: &[u8]) -> Result<Graph, RewardError> {
        let device = match self.device {
            ExecutionDevice::Cpu => Device::Cpu,
            ExecutionDevice::Cuda(number) => Device::Cuda(number),
        };
        let (session, _) = self.runtime.session(onnx, self.threads, device)?;
        Ok(Graph {
            session,
            bindings: HashMap::new(),
        })
    }

    /// Memory of the device, by way of a session that runs there.
    fn allocator(&self, session: &Session) -> Result<Allocator, RewardError> {
        Ok(match self.device {
            ExecutionDevice::Cpu => Allocator::default(),
            ExecutionDevice::Cuda(number) => {
                let memory = MemoryInfo::new(
                    AllocationDevice::CUDA,
                    number,
                    AllocatorType::Device,
                    MemoryType::Default,
                )?;
                Allocator::new(session, memory)?
            }
        })
    }

    fn write(
        &self,
        target: &mut Tensor<f32>,
        dims: &[i64],
        values: &[f32],
    ) -> Result<(), RewardError> {
        match self.device {
            ExecutionDevice::Cpu => target.extract_tensor_mut().1.copy_from_slice(values),
            ExecutionDevice::Cuda(_) => {
                Tensor::from_array((dims.to_vec(), values.to_vec()))?.copy_into(target)?;
            }
        }
        Ok(())
    }

    fn read(&self, source: &Tensor<f32>) -> Result<Vec<f32>, RewardError> {
        Ok(match self.device {
            ExecutionDevice::Cpu => source.extract_tensor().1.to_vec(),
            ExecutionDevice::Cuda(_) => {
                let copy = source.to(AllocationDevice::CPU, 0)?;
                copy.extract_tensor().1.to_vec()
            }
        })
    }
}

impl GraphTrainer {
    /// Lowers artifacts and puts them on a device. `threads`: 0 for one per core.
    ///
    /// # Errors
    /// When an operator cannot be lowered, or the runtime refuses a graph.
    pub fn new(
        runtime: &'static Runtime,
        artifacts: &Artifacts,
        device: ExecutionDevice,
        threads: usize,
        options: &LoweringOptions,
    ) -> Result<Self, RewardError> {
        let place = Place {
            runtime,
            device,
            threads,
        };
        let step = place.graph(&lower::step_model(artifacts, options)?.to_bytes())?;
        let eval = place.graph(&lower::eval_model(artifacts, options)?.to_bytes())?;
        let allocator = place.allocator(&step.session)?;
        let mut parameters = Vec::new();
        for parameter in artifacts.parameters().iter().filter(|p| p.trainable) {
            let dims = &parameter.dims;
            let filled = |values: &[f32]| {
                let mut tensor = Tensor::<f32>::new(&allocator, dims.clone())?;
                place.write(&mut tensor, dims, values)?;
                Ok::<_, RewardError>(tensor)
            };
            let zeros = vec![0.0; parameter.data.len()];
            parameters.push(Held {
                name: parameter.name.clone(),
                dims: dims.clone(),
                sets: [filled(&parameter.data)?, filled(&zeros)?],
                moments: (0..artifacts.optimizer.moments())
                    .map(|_| filled(&zeros))
                    .collect::<Result<_, _>>()?,
                gradient: None,
            });
        }
        Ok(Self {
            step,
            eval,
            several: None,
            several_onnx: [
                lower::accumulate_model(artifacts, options)?.to_bytes(),
                lower::update_model(artifacts, options)?.to_bytes(),
            ],
            parameters,
            place,
            present: 0,
            steps: 0,
        })
    }

    fn step_once(
        &mut self,
        batch: MicroBatch,
        learning_rate: f32,
    ) -> Result<StepResult, RewardError> {
        let bound = Bound {
            present: self.present,
            from_zero: true,
        };
        let parameters = &mut self.parameters;
        let binding = binding(
            &self.step.session,
            &mut self.step.bindings,
            bound,
            |binding| {
                for held in parameters {
                    held.bind_update(binding, bound.present)?;
                }
                Ok(())
            },
        )?;
        bind_results(binding, &[LOSS, MARGIN])?;
        bind_data(&self.step.session, binding, batch)?;
        bind_scalars(binding, learning_rate, self.steps + 1)?;
        let outputs = self.step.session.run_binding(binding)?;
        let loss = outputs[LOSS].try_extract_tensor::<f32>()?.1[0];
        finite("loss", &[loss])?;
        let margins = outputs[MARGIN].try_extract_tensor::<f32>()?.1.to_vec();
        self.steps += 1;
        self.present = 1 - self.present;
        Ok(StepResult {
            loss: f64::from(loss),
            margins,
        })
    }

    /// Makes what batches of several calls need.
    fn prepare_several(&mut self) -> Result<(), RewardError> {
        if self.several.is_some() {
            return Ok(());
        }
        let [accumulate, update] = &self.several_onnx;
        let graphs = [self.place.graph(accumulate)?, self.place.graph(update)?];
        let allocator = self.place.allocator(&graphs[0].session)?;
        for held in &mut self.parameters {
            let mut zeros = Tensor::<f32>::new(&allocator, held.dims.clone())?;
            let length = zeros.shape().num_elements();
            self.place
                .write(&mut zeros, &held.dims, &vec![0.0; length])?;
            held.gradient = Some([zeros, Tensor::new(&allocator, held.dims.clone())?]);
        }
        self.several = Some(graphs);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a batch has few pairs")]
    fn step_several(
        &mut self,
        batches: Vec<MicroBatch>,
        learning_rate: f32,
    ) -> Result<StepResult, RewardError> {
        self.prepare_several()?;
        let [accumulate, update] = self.several.as_mut().expect("was just made");
        let n_pairs: usize = batches.iter().map(|batch| batch.n_pairs).sum();
        let mut result = StepResult {
            loss: 0.0,
            margins: Vec::with_capacity(n_pairs),
        };
        for (number, batch) in batches.into_iter().enumerate() {
            let share = batch.n_pairs as f32 / n_pairs as f32;
            let bound = Bound {
                present: self.present,
                from_zero: number == 0,
            };
            let parameters = &mut self.parameters;
            let binding = binding(
                &accumulate.session,
                &mut accumulate.bindings,
                bound,
                |binding| {
                    for held in parameters {
                        binding.bind_input(&held.name, &held.sets[bound.present])?;
                        let [zeros, sum] = held.gradient.as_mut().expect("was just made");
                        let before = if bound.from_zero { &*zeros } else { &*sum };
                        binding.bind_input(lower::accumulated_name(&held.name), before)?;
                        binding.bind_output(lower::gradient_name(&held.name), sum)?;
                    }
                    Ok(())
                },
            )?;
            bind_results(binding, &[LOSS, MARGIN])?;
            bind_data(&accumulate.session, binding, batch)?;
            binding.bind_input(SHARE, &scalar(share)?)?;
            let outputs = accumulate.session.run_binding(binding)?;
            let loss = outputs[LOSS].try_extract_tensor::<f32>()?.1[0];
            finite("loss", &[loss])?;
            result.loss += f64::from(share) * f64::from(loss);
            result
                .margins
                .extend(outputs[MARGIN].try_extract_tensor::<f32>()?.1);
        }
        let bound = Bound {
            present: self.present,
            from_zero: false,
        };
        let parameters = &mut self.parameters;
        let binding = binding(&update.session, &mut update.bindings, bound, |binding| {
            for held in parameters {
                held.bind_update(binding, bound.present)?;
                let [_, sum] = held.gradient.as_ref().expect("was just made");
                binding.bind_input(lower::gradient_name(&held.name), sum)?;
            }
            Ok(())
        })?;
        bind_scalars(binding, learning_rate, self.steps + 1)?;
        update.session.run_binding(binding)?;
        self.steps += 1;
        self.present = 1 - self.present;
        Ok(result)
    }
}

impl Held {
    /// Binds parameter and moments, and what replaces them.
    fn bind_update(&mut self, binding: &mut IoBinding, present: usize) -> Result<(), RewardError> {
        let (first, second) = self.sets.split_at_mut(1);
        let (now, next) = if present == 0 {
            (&first[0], &mut second[0])
        } else {
            (&second[0], &mut first[0])
        };
        binding.bind_input(&self.name, now)?;
        binding.bind_output(lower::new_name(&self.name), next)?;
        for (name, moment) in lower::moment_names(&self.name)
            .iter()
            .zip(&mut self.moments)
        {
            binding.bind_input(name, &*moment)?;
            binding.bind_output(lower::new_name(name), moment)?;
        }
        Ok(())
    }
}

/// The binding for `bound`, made by `make` when it is wanted for the first time.
fn binding<'g>(
    session: &Session,
    bindings: &'g mut HashMap<Bound, IoBinding>,
    bound: Bound,
    make: impl FnOnce(&mut IoBinding) -> Result<(), RewardError>,
) -> Result<&'g mut IoBinding, RewardError> {
    Ok(match bindings.entry(bound) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let mut binding = session.create_binding()?;
            make(&mut binding)?;
            entry.insert(binding)
        }
    })
}

fn bind_scalars(binding: &mut IoBinding, learning_rate: f32, step: u64) -> Result<(), RewardError> {
    let step = i64::try_from(step).expect("steps are counted in 63 bits");
    binding.bind_input(LEARNING_RATE, &scalar(learning_rate)?)?;
    binding.bind_input(STEP, &Tensor::from_array(((), vec![step]))?)?;
    Ok(())
}

fn scalar(value: f32) -> Result<Tensor<f32>, RewardError> {
    Ok(Tensor::from_array(((), vec![value]))?)
}

impl Trainer for GraphTrainer {
    fn step(
        &mut self,
        mut batches: Vec<MicroBatch>,
        learning_rate: f32,
    ) -> Result<StepResult, RewardError> {
        if batches.len() > 1 {
            return self.step_several(batches, learning_rate);
        }
        match batches.pop() {
            Some(batch) => self.step_once(batch, learning_rate),
            None => Ok(StepResult {
                loss: 0.0,
                margins: Vec::new(),
            }),
        }
    }

    fn margins(&mut self, batch: MicroBatch) -> Result<Vec<f32>, RewardError> {
        let bound = Bound {
            present: self.present,
            from_zero: false,
        };
        let parameters = &self.parameters;
        let binding = binding(
            &self.eval.session,
            &mut self.eval.bindings,
            bound,
            |binding| {
                for held in parameters {
                    binding.bind_input(&held.name, &held.sets[bound.present])?;
                }
                Ok(())
            },
        )?;
        bind_results(binding, &[MARGIN])?;
        bind_data(&self.eval.session, binding, batch)?;
        let outputs = self.eval.session.run_binding(binding)?;
        let margins = outputs[MARGIN].try_extract_tensor::<f32>()?.1;
        finite("margin", margins)?;
        Ok(margins.to_vec())
    }

    fn state(&self) -> Result<ModelState, RewardError> {
        let mut tensors = Vec::with_capacity(3 * self.parameters.len());
        for held in &self.parameters {
            let present = &held.sets[self.present];
            tensors.push((held.name.clone(), self.place.read(present)?));
            for (name, moment) in lower::moment_names(&held.name)
                .into_iter()
                .zip(&held.moments)
            {
                tensors.push((name, self.place.read(moment)?));
            }
        }
        Ok(ModelState {
            step: self.steps,
            tensors,
        })
    }

    fn restore(&mut self, state: &ModelState) -> Result<(), RewardError> {
        for held in &mut self.parameters {
            let present = &mut held.sets[self.present];
            let length = present.shape().num_elements();
            let values = saved(state, &held.name, length)?;
            self.place.write(present, &held.dims, values)?;
            for (name, moment) in lower::moment_names(&held.name)
                .iter()
                .zip(&mut held.moments)
            {
                self.place
                    .write(moment, &held.dims, saved(state, name, length)?)?;
            }
        }
        self.steps = state.step;
        Ok(())
    }
}
