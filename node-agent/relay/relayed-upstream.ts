// One stream to a node that dialled here, in the place of a connection to an app: see Upstream.
import type { ClientHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { writeInBatch } from "../gateway/batch.ts";
import type { Onward, UpstreamUser } from "../gateway/upstream.ts";

export class RelayedUpstream implements Onward {
  readonly socket: Onward["socket"];
  user: UpstreamUser | null = null;
  reused = false;
  idleSinceMs = 0;
  idleMaxMs = Infinity;
  /** It is the other gateway that connects, and says so itself if it cannot. */
  readonly connected = true;
  readonly #stream: ClientHttp2Stream | null;
  #ended = false;

  /** null: the session refused it. */
  constructor(stream: ClientHttp2Stream | null) {
    this.#stream = stream;
    this.socket = {
      pause: () => void stream?.pause(),
      resume: () => void stream?.resume(),
      destroy: () => stream?.close(constants.NGHTTP2_CANCEL),
      destroySoon: () => stream?.end(),
    };
    if (stream === null) {
      setImmediate(() => this.#end(new Error("the node's connection to its relay is ending")));
      return;
    }
    stream.on("data", (bytes: Buffer) => {
      if (this.user === null) stream.close(constants.NGHTTP2_CANCEL);
      else this.user.onUpstreamData(bytes);
    });
    stream.on("drain", () => this.user?.onUpstreamDrain());
    stream.on("error", (error) => this.#end(error));
    stream.on("end", () => this.#end(null));
    stream.on("close", () => this.#end(stream.rstCode === constants.NGHTTP2_NO_ERROR ? null : new Error("reset")));
  }

  write(data: string | Buffer): boolean {
    if (this.#stream === null || this.#stream.destroyed || this.#stream.writableEnded) return true;
    return typeof data === "string" ? writeInBatch(this.#stream, data) : this.#stream.write(data);
  }

  cork(): void {
    this.#stream?.cork();
  }

  uncork(): void {
    this.#stream?.uncork();
  }

  get usable(): boolean {
    return !this.#ended && this.#stream !== null && !this.#stream.destroyed && !this.#stream.closed;
  }

  #end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.user === null) this.#stream?.end();
    else this.user.onUpstreamEnd(error);
  }
}
