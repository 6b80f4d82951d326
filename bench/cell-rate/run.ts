// What the benchmark asks of its Worker.

/** name: of the object. from: the first instance's number. batch: instances per call. width: calls under way at once. */
export interface Run {
  readonly kind: "enrol" | "cell" | "raw";
  readonly name: string;
  readonly from: number;
  readonly count: number;
  readonly batch: number;
  readonly width: number;
}
