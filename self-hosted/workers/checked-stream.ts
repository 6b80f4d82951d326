// A stream that lets its last piece through only when all of it has the expected hash: a wrong body is an upload cut short.
import { createHash } from "node:crypto";

/** As R2 words it: the control Worker knows a refused upload by it. */
export const HASH_MISMATCH = "the body does not match its checksum (10037)";

export interface CheckedStream {
  readonly stream: TransformStream<Uint8Array, Uint8Array>;
  readonly isRefused: () => boolean;
}

/** sha256: in hex. */
export function checkedStream(sha256: string): CheckedStream {
  const hash = createHash("sha256");
  let held: Uint8Array | null = null;
  let refused = false;
  const stream = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      if (piece.length === 0) return;
      hash.update(piece);
      if (held !== null) controller.enqueue(held);
      held = piece;
    },
    flush(controller) {
      if (hash.digest("hex") !== sha256) {
        refused = true;
        controller.error(new Error(HASH_MISMATCH));
      } else if (held !== null) controller.enqueue(held);
    },
  });
  return { stream, isRefused: () => refused };
}
