// Finds any of many texts in a line, in one pass over it however many they are (Aho and Corasick, 1975). A regular expression of that many
// alternatives is refused by the engine once it is too large, and takes every one of them at every place.

export interface Span {
  readonly start: number;
  readonly end: number;
  /** The longest of the texts that was found here. */
  readonly text: string;
}
export type FindSpans = (line: string) => Span[];

const CODES = 65_536;
const ROOT = 0;

/** Spans do not overlap: what overlaps is one. In the order of the line. */
export function spansOf(texts: readonly string[]): FindSpans {
  const next = new Map<number, number>();
  /** By state: where to go on when a character fits nothing, and the longest text that ends there. */
  const fallback = [ROOT];
  const ends: (string | undefined)[] = [undefined];
  const depths = [0];
  const states: { readonly from: number; readonly code: number }[] = [];
  for (const text of texts) {
    let state = ROOT;
    for (let at = 0; at < text.length; at += 1) {
      const key = state * CODES + text.charCodeAt(at);
      let to = next.get(key);
      if (to === undefined) {
        to = fallback.push(ROOT) - 1;
        next.set(key, to);
        ends.push(undefined);
        depths.push((depths[state] ?? 0) + 1);
        states.push({ from: state, code: text.charCodeAt(at) });
      }
      state = to;
    }
    ends[state] = text;
  }
  const after = (from: number, code: number): number => {
    for (let state = from; ; state = fallback[state] ?? ROOT) {
      const to = next.get(state * CODES + code);
      if (to !== undefined) return to;
      if (state === ROOT) return ROOT;
    }
  };
  // The nearest to the root first: where a state falls back to is known before those that begin with it.
  const order = states.map((_, at) => at + 1).sort((one, other) => (depths[one] ?? 0) - (depths[other] ?? 0));
  for (const state of order) {
    const { from, code } = states[state - 1]!;
    if (from !== ROOT) fallback[state] = after(fallback[from] ?? ROOT, code);
    ends[state] ??= ends[fallback[state] ?? ROOT];
  }
  return (line) => joined(line, (state, at) => after(state, line.charCodeAt(at)), ends);
}

function joined(
  line: string,
  step: (state: number, at: number) => number,
  ends: readonly (string | undefined)[],
): Span[] {
  const spans: Span[] = [];
  let state = ROOT;
  for (let at = 0; at < line.length; at += 1) {
    state = step(state, at);
    const text = ends[state];
    if (text === undefined) continue;
    let span: Span = { start: at + 1 - text.length, end: at + 1, text };
    for (let last = spans.at(-1); last !== undefined && last.end > span.start; last = spans.at(-1)) {
      spans.pop();
      const longest = last.text.length >= span.text.length ? last.text : span.text;
      span = { start: Math.min(last.start, span.start), end: span.end, text: longest };
    }
    spans.push(span);
  }
  return spans;
}
