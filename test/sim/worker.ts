// A process that simulates the seeds it is handed, for `--jobs`.
import { simulateOne, type Run } from "./runs.ts";

process.on("message", ({ seeds, run }: { seeds: number[]; run: Run }) => {
  process.send!(seeds.map((seed) => simulateOne(seed, run)));
});
