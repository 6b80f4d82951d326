// What a command prints: tables and colours for people, one JSON value for programs (--json), never both.
import Table from "cli-table3";
import pc from "picocolors";
import { jsonText } from "./plain-text.ts";

export interface Output {
  readonly json: boolean;
  readonly tty: boolean;
  /** One line for people; nothing under --json. */
  line(text?: string): void;
  /** A note that belongs to no result: to stderr, also under --json. */
  note(text: string): void;
  /** The result: printed as JSON under --json, else by `show`. */
  result(value: unknown, show: () => void): void;
  table(head: readonly string[], rows: readonly (readonly string[])[]): void;
}

export function createOutput({ json, tty }: { json: boolean; tty: boolean }): Output {
  const line = (text = ""): void => {
    if (!json) process.stdout.write(`${text}\n`);
  };
  return {
    json,
    tty,
    line,
    note: (text) => void process.stderr.write(`${text}\n`),
    result(value, show) {
      if (json) process.stdout.write(`${jsonText(value, tty ? 2 : 0)}\n`);
      else show();
    },
    table(head, rows) {
      if (rows.length === 0) return line(pc.dim("(none)"));
      const table = new Table({
        head: head.map((name) => pc.dim(name)),
        style: { head: [], border: [], compact: true },
        chars: PLAIN,
      });
      for (const row of rows) table.push([...row]);
      line(table.toString());
    },
  };
}

const PLAIN = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

/** `3 s ago`, `5 min ago`, `2 days ago`. */
export function ago(atMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

/** 1536 MiB → `1.5 GiB`. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}

const PHASE_COLOURS: Record<string, (text: string) => string> = {
  ready: pc.green,
  healthy: pc.green,
  active: pc.green,
  completed: pc.green,
  starting: pc.cyan,
  placing: pc.cyan,
  deploying: pc.cyan,
  rolling: pc.cyan,
  verifying: pc.cyan,
  draining: pc.cyan,
  pulling: pc.cyan,
  pending: pc.cyan,
  enrolled: pc.cyan,
  unready: pc.yellow,
  backoff: pc.yellow,
  degraded: pc.yellow,
  suspect: pc.yellow,
  unreachable: pc.yellow,
  cancelled: pc.yellow,
  superseded: pc.yellow,
  proven: pc.yellow,
  blocked: pc.yellow,
  failing: pc.red,
  suspended: pc.red,
  failed: pc.red,
  down: pc.red,
  lost: pc.red,
};

/** A phase in the colour that says how it is. */
export const phase = (name: string): string => (PHASE_COLOURS[name] ?? pc.dim)(name);
