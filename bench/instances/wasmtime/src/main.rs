//! What run.py asks of Wasmtime: `wasmtime-instances SECONDS MODULE FUNCTION [ARGUMENT…]` makes an instance, calls the
//! function with numbers of type i32, and drops the store, over and over, for each configuration. It prints one line of
//! JSON: ns a round by configuration, least and median of batches. `wasmtime-instances SECONDS MODULE --calls` times the
//! calls of run.py's CALLS instead: ns a call by name.
use std::time::{Duration, Instant};
use wasmtime::{Caller, Config, Enabled, Engine, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig, Store, Val};

/// Configurations by name: how many bytes a slot keeps resident, and whether the system is asked which pages were written.
const CONFIGURATIONS: [(&str, Option<(usize, bool)>); 6] = [
    ("on demand", None),
    ("pool", Some((0, false))),
    ("pool, 64 KiB kept", Some((64 << 10, false))),
    ("pool, 64 KiB kept, scan", Some((64 << 10, true))),
    ("pool, 1 MiB kept, scan", Some((1 << 20, true))),
    ("pool, 64 MiB kept, scan", Some((64 << 20, true))),
];

fn engine(pool: Option<(usize, bool)>) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.concurrency_support(false);
    if let Some((kept_bytes, scan)) = pool {
        let mut pooling = PoolingAllocationConfig::new();
        pooling.total_core_instances(8).total_memories(8).total_tables(8).max_unused_warm_slots(8);
        pooling.max_memory_size(1 << 32).linear_memory_keep_resident(kept_bytes).table_keep_resident(kept_bytes.min(65536));
        pooling.pagemap_scan(if scan { Enabled::Yes } else { Enabled::No });
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling));
    }
    Engine::new(&config)
}

/// Returns ns a round, least and median, of batches of 20 µs at least.
fn measure(seconds: f64, mut round: impl FnMut()) -> (f64, f64) {
    let mut batch = |times: u64| {
        let begin = Instant::now();
        for _ in 0..times {
            round();
        }
        begin.elapsed()
    };
    let mut times = 1;
    while batch(times) < Duration::from_micros(20) {
        times *= 2;
    }
    let mut samples = Vec::new();
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < seconds {
        samples.push(batch(times).as_nanos() as f64 / times as f64);
    }
    samples.sort_by(|a, b| a.total_cmp(b));
    (samples[0], samples[samples.len() / 2])
}

fn calls(seconds: f64, file: &str) -> wasmtime::Result<()> {
    const TURNS: i32 = 1000;
    let engine = engine(None)?;
    let module = Module::from_file(&engine, file)?;
    let mut linker = Linker::<i32>::new(&engine);
    linker.func_wrap("env", "f", |v: i32| v + 1)?;
    linker.func_wrap("env", "g", |caller: Caller<'_, i32>, v: i32| v + *caller.data())?;
    let mut store = Store::new(&engine, 1);
    let instance = linker.instantiate(&mut store, &module)?;
    let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
    let mut sum = 0;
    let (add_ns, _) = measure(seconds, || sum = add.call(&mut store, (sum, 1)).expect("a sum"));
    let mut loop_of = |name: &str| -> wasmtime::Result<f64> {
        let function = instance.get_typed_func::<i32, i32>(&mut store, name)?;
        let (least, _) = measure(seconds, || {
            let _ = function.call(&mut store, TURNS).expect("a sum");
        });
        Ok(least / TURNS as f64)
    };
    let (host_ns, data_ns) = (loop_of("host_loop")?, loop_of("data_loop")?);
    let trap = instance.get_typed_func::<(), ()>(&mut store, "trap")?;
    let (trap_ns, _) = measure(seconds, || drop(trap.call(&mut store, ()).expect_err("a trap")));
    println!("{{\"add\": {add_ns:.2}, \"host\": {host_ns:.2}, \"data\": {data_ns:.2}, \"trap\": {trap_ns:.1}}}");
    Ok(())
}

fn main() -> wasmtime::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds: f64 = arguments[1].parse().expect("SECONDS");
    if arguments[3] == "--calls" {
        return calls(seconds, &arguments[2]);
    }
    let numbers: Vec<Val> = arguments[4..].iter().map(|a| Val::I32(a.parse().expect("a number"))).collect();
    let mut lines = Vec::new();
    for (name, pool) in CONFIGURATIONS {
        let engine = match engine(pool) {
            Ok(engine) => engine,
            Err(_) => continue, // the system can't scan
        };
        let module = Module::from_file(&engine, &arguments[2])?;
        let pre = Linker::<()>::new(&engine).instantiate_pre(&module)?;
        let (least, median) = measure(seconds, || {
            let mut store = Store::new(&engine, ());
            let instance = pre.instantiate(&mut store).expect("an instance");
            if numbers.is_empty() {
                let function = instance.get_typed_func::<(), i32>(&mut store, &arguments[3]).expect("a function");
                function.call(&mut store, ()).expect("a result");
            } else {
                let function = instance.get_typed_func::<(i32, i32), i32>(&mut store, &arguments[3]).expect("a function");
                let at = |i: usize| numbers[i].unwrap_i32();
                function.call(&mut store, (at(0), at(1))).expect("a result");
            }
        });
        lines.push(format!("\"{name}\": {{\"min\": {least:.1}, \"p50\": {median:.1}}}"));
    }
    println!("{{{}}}", lines.join(", "));
    Ok(())
}
