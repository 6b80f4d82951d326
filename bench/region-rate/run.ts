// What the benchmark asks of its Worker, and what it is told.

/** objects: the list as a structured clone. text: as the Region hands it out. parsed: and as an App then reads it. */
export const WAYS = ["objects", "text", "parsed"] as const;
export type Way = (typeof WAYS)[number];

/** fill: that many cells report. burst: so many Apps ask at once; reports: cells that report something new meanwhile. */
export type Run =
  | { readonly kind: "fill"; readonly region: string; readonly cells: number }
  | {
      readonly kind: "burst";
      readonly region: string;
      readonly way: Way;
      readonly apps: number;
      readonly reports: number;
    };

export interface Told {
  readonly tookMs: number;
  /** Of each App, from the burst's beginning to its answer. */
  readonly latenciesMs: readonly number[];
  readonly answerBytes: number;
}
