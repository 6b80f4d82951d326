// What came of many runs: violations with their traces as they come, progress, and at the end how often everything happened.
import { FAULTS } from "./faults.ts";
import type { Run } from "./runs.ts";
import type { SimulationResult } from "./simulation.ts";

const PROGRESS_EVERY_MS = 5_000;

export class Summary {
  readonly failed: number[] = [];
  private readonly total = new Map<string, number>();
  private done = 0;
  private events = 0;
  private slowestSettleMs = 0;
  private readonly startedMs = performance.now();
  private printedMs = performance.now();
  private readonly seeds: { readonly from: number; readonly to: number };
  private readonly run: Run;
  private readonly traceLines: number;

  constructor(seeds: { from: number; to: number }, run: Run, traceLines: number) {
    this.seeds = seeds;
    this.run = run;
    this.traceLines = traceLines;
  }

  take(result: SimulationResult): void {
    this.done += 1;
    this.events += result.events;
    this.slowestSettleMs = Math.max(this.slowestSettleMs, result.settledAfterMs ?? 0);
    for (const [name, count] of Object.entries(result.counts))
      this.total.set(name, (this.total.get(name) ?? 0) + count);
    if (result.violations.length > 0) this.violated(result);
    if (performance.now() - this.printedMs < PROGRESS_EVERY_MS) return;
    this.printedMs = performance.now();
    const tookS = ((this.printedMs - this.startedMs) / 1_000).toFixed(0);
    console.log(
      `${this.done} of ${this.seeds.to - this.seeds.from + 1} seeds after ${tookS} s, ${this.failed.length} violated`,
    );
  }

  private violated({ seed, trace, violations }: SimulationResult): void {
    this.failed.push(seed);
    console.log(trace.slice(-this.traceLines).join("\n"));
    for (const text of violations) console.log(`seed ${seed} VIOLATES invariant ${text}`);
    const { nodes, apps, kinds, minutes, faults, weather, manner } = this.run;
    const harsh = (weather === "harsh" ? " --harsh" : "") + (kinds ? ` --kinds ${kinds.join()}` : "");
    const careful = manner === "careful" ? " --careful" : "";
    console.log(
      `replay: npm run sim -- --seed ${seed} --nodes ${nodes} --apps ${apps} --minutes ${minutes} --faults ${faults}${harsh}${careful}`,
    );
  }

  print(): void {
    const tookS = (performance.now() - this.startedMs) / 1_000;
    const faults = new Set<string>(Object.values(FAULTS).flat());
    const lines = [...this.total].sort(([a], [b]) => (a < b ? -1 : 1));
    const column = (isFault: boolean): string =>
      lines
        .filter(([name]) => faults.has(name) === isFault)
        .map(([name, count]) => `${String(count).padStart(10)}  ${name}`)
        .join("\n");
    console.log(`faults that happened\n${column(true)}\nwhat else happened\n${column(false)}`);
    const never = [...faults].filter((name) => !this.total.has(name));
    if (never.length > 0) console.log(`never happened: ${never.join(", ")}`);
    console.log(
      `${this.done} seeds, ${this.events} events in ${tookS.toFixed(1)} s (${Math.round(this.events / tookS)} events/s); ` +
        `everything agreed again within ${this.slowestSettleMs / 1_000} s; ${this.failed.length} seeds violated an invariant` +
        (this.failed.length > 0 ? `: ${this.failed.join(", ")}` : ""),
    );
  }
}
