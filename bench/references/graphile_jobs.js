// `fill N` queues N jobs that do nothing; `work one|batch CONCURRENCY` does them until it is killed.
import { Logger, makeWorkerUtils, run, WorkerPreset } from "graphile-worker";

const [connectionString, what, ...rest] = process.argv.slice(2);
const logger = new Logger(() => () => {});

if (what === "fill") {
  const utils = await makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  await utils.withPgClient((client) =>
    client.query("select count(graphile_worker.add_job('nothing')) from generate_series(1, $1::int)", [rest[0]])
  );
  await utils.release();
} else {
  const [way, concurrency] = rest;
  const batches = way === "batch" ? { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } : {};
  const worker = { connectionString, logger, concurrentJobs: Number(concurrency), maxPoolSize: Number(concurrency) + 1, ...batches };
  const runner = await run({ preset: { extends: [WorkerPreset], worker }, taskList: { nothing: async () => {} } });
  await runner.promise;
}
