// What every benchmark prints: one JSON object on stdout, with medians, spreads and the aims it is held to. Progress goes to stderr.

/** A number that is promised. Met when `value op bound`; the reader decides, the benchmark only measures. */
export interface Aim {
  readonly name: string;
  readonly value: number;
  readonly op: "<=" | ">=";
  readonly bound: number;
  readonly unit: string;
}

export interface Report {
  readonly bench: string;
  readonly rounds: number;
  readonly aims: readonly Aim[];
  /** Everything else that was measured. */
  readonly [name: string]: unknown;
}

/** Of the rounds of one quantity: the median and how far they lie apart (quartiles and extremes). */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly p25: number;
  readonly p75: number;
  readonly max: number;
  readonly samples: number;
}

/** The q-th quantile (0 to 1) by linear interpolation between the two nearest samples. Throws where there are none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) throw new Error("no samples, so no quantile");
  return below + (above - below) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function spreadOf(values: readonly number[], digits = 3): Spread {
  const at = (q: number) => rounded(quantile(values, q), digits);
  return { median: at(0.5), min: at(0), p25: at(0.25), p75: at(0.75), max: at(1), samples: values.length };
}

export function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

export function isMet({ value, op, bound }: Aim): boolean {
  return op === "<=" ? value <= bound : value >= bound;
}

export function printReport(report: Report): void {
  for (const aim of report.aims) {
    const { name, value, op, bound, unit } = aim;
    note(`${isMet(aim) ? "met   " : "MISSED"} ${name}: ${value} ${unit} (aim ${op} ${bound})`);
  }
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}

/** Progress and remarks: not part of the report. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}
