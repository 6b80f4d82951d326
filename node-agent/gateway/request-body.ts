// A request's body on its way to whoever is to answer: counted, and kept where somebody else may have to be asked.
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { bodyKind, type BodyKind } from "../../core/routing/retry.ts";
import { writeBody, type Sink } from "./body-out.ts";
import type { Framing } from "./framing.ts";

export class RequestBody {
  readonly framing: Framing;
  readonly kind: BodyKind;
  readonly #kept: Buffer[] | null;
  #bytes = 0;

  /** length: as it was declared; null, not at all. keeps: one that is short enough. */
  constructor(framing: Framing, length: number | null, keeps: boolean) {
    this.framing = framing;
    this.kind = bodyKind(!framing.done, length, ROUTING_LIMITS.bodyBufferBytesMax);
    this.#kept = keeps && this.kind === "buffered" ? [] : null;
  }

  get done(): boolean {
    return this.framing.done;
  }

  /** Reads on, up to framing.end; what is wrong with it, if anything. */
  read(
    bytes: Buffer,
    from: number,
    bytesMax: number,
  ): { code: "malformed_request" | "body_too_large"; why: string } | null {
    const { framing } = this;
    framing.read(bytes, from);
    if (framing.bad) return { code: "malformed_request", why: "the body's chunks are malformed" };
    this.#bytes += framing.dataBytes;
    if (this.#bytes > bytesMax) return { code: "body_too_large", why: `the body may have at most ${bytesMax} bytes` };
    const { runs } = framing;
    if (this.#kept !== null)
      for (let run = 0; run < runs.length; run += 2) this.#kept.push(bytes.subarray(runs[run], runs[run + 1]));
    return null;
  }

  /** first: what goes before it; bytes: just read. False: wait for the sink's drain. */
  send(to: Sink, first: string, bytes: Buffer): boolean {
    return writeBody(to, first, bytes, this.framing);
  }

  /** All that has come of it, to another one. */
  sendAgain(to: Sink): boolean {
    let flowing = true;
    for (const bytes of this.#kept ?? []) flowing = to.write(bytes);
    return flowing;
  }
}
