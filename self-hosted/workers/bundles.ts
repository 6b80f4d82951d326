// Bundles in an S3-compatible store: one bucket, one object per bundle, nothing kept that does not match its hash.
import { WorkerEntrypoint } from "cloudflare:workers";
import { AwsClient } from "aws4fetch";
import type { BundlePut, BundleStore, StoredBundle, TextPut } from "../../workers/control/env.ts";
import { keysOf } from "./bucket-list.ts";
import { checkedStream, HASH_MISMATCH } from "./checked-stream.ts";

interface S3Env {
  /** Such as https://s3.example.com; the bucket is the first part of the path. */
  readonly S3_ENDPOINT: string;
  readonly S3_BUCKET: string;
  readonly S3_REGION: string;
  readonly S3_ACCESS_KEY_ID: string;
  readonly S3_SECRET_ACCESS_KEY: string;
}

const ANSWER_WITHIN_MS = 10_000;
const ERROR_CHARS_MAX = 300;
/** S3 lists no more at once. */
const LISTED_MAX = 1_000;
const PRECONDITION_FAILED = 412;

export class Bundles extends WorkerEntrypoint<S3Env> implements BundleStore {
  async head(key: string): Promise<{ size: number } | null> {
    const answer = await this.#ask(key, { method: "HEAD", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    if (answer.status === 404) return null;
    await refuseFailure(answer, "HEAD");
    return { size: sizeOf(answer) };
  }

  async get(key: string): Promise<StoredBundle | null> {
    const answer = await this.#ask(key, { method: "GET" });
    if (answer.status === 404) {
      await answer.body?.cancel();
      return null;
    }
    await refuseFailure(answer, "GET");
    if (answer.body === null) throw new Error("the store answered without a body");
    return { size: sizeOf(answer), body: answer.body };
  }

  /**
   * Not every store that speaks S3 drops an upload that was cut short. So it goes under a name of its own, and gets its key, by which
   * others find it, once the store has all of it and all of it is right.
   */
  async put(key: string, body: ReadableStream | string, options?: BundlePut | TextPut): Promise<void> {
    if (typeof body === "string") return this.#putText(key, body, options !== undefined);
    if (options === undefined || !("sha256" in options)) throw new Error("a stream is kept by its hash");
    const uploaded = `uploads/${crypto.randomUUID()}`;
    try {
      await this.#upload(uploaded, body, options);
      await this.#copy(uploaded, key);
    } finally {
      // Whatever stays behind by this is found by nobody: a rule of the bucket may expire it (docs/OPERATING.md).
      await this.delete([uploaded]).catch(() => {});
    }
  }

  async #upload(key: string, body: ReadableStream, { sha256, bytes, httpMetadata }: BundlePut): Promise<void> {
    // The store would see a connection that broke, and so does fetch: what the body was refused for is kept here.
    const checked = checkedStream(sha256);
    const sized = new FixedLengthStream(bytes);
    const piped = body.pipeThrough(checked.stream).pipeTo(sized.writable);
    piped.catch(() => {});
    const contentType = httpMetadata?.contentType ?? "application/octet-stream";
    try {
      const answer = await this.#ask(key, {
        method: "PUT",
        body: sized.readable,
        headers: { "content-type": contentType, "x-amz-content-sha256": sha256 },
      });
      await refuseFailure(answer, "PUT");
      await piped;
      await answer.body?.cancel();
    } catch (error) {
      throw checked.isRefused() ? new Error(HASH_MISMATCH, { cause: error }) : error;
    }
  }

  async #copy(from: string, to: string): Promise<void> {
    const answer = await this.#ask(to, {
      method: "PUT",
      headers: { "x-amz-copy-source": `/${this.env.S3_BUCKET}/${from}` },
    });
    await refuseFailure(answer, "PUT");
    // A copy that fails late is answered with 200 too.
    const text = await answer.text();
    if (!text.includes("<CopyObjectResult"))
      throw new Error(`the S3 store did not copy: ${text.slice(0, ERROR_CHARS_MAX)}`);
  }

  /** isNew: kept only where there is none. Asked before, for stores that do not know the condition; theirs is the gap between. */
  async #putText(key: string, text: string, isNew: boolean): Promise<void> {
    if (isNew && (await this.head(key)) !== null) return;
    const answer = await this.#ask(key, {
      method: "PUT",
      body: text,
      headers: { "content-type": "text/plain; charset=utf-8", ...(isNew ? { "if-none-match": "*" } : {}) },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (answer.status !== PRECONDITION_FAILED) await refuseFailure(answer, "PUT");
    await answer.body?.cancel();
  }

  async list({
    prefix,
    limit = LISTED_MAX,
  }: {
    prefix: string;
    limit?: number;
  }): Promise<{ objects: { key: string }[] }> {
    const query = new URLSearchParams({ "list-type": "2", prefix, "max-keys": String(limit) });
    const answer = await this.#ask(`?${query.toString()}`, {
      method: "GET",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    await refuseFailure(answer, "GET");
    return { objects: keysOf(await answer.text()).map((key) => ({ key })) };
  }

  /** One by one: a list of them is deleted by an MD5 of it, which not every store wants alike. */
  async delete(keys: string[]): Promise<void> {
    for (const key of keys) {
      const answer = await this.#ask(key, { method: "DELETE", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      if (answer.status !== 404) await refuseFailure(answer, "DELETE");
      await answer.body?.cancel();
    }
  }

  /** key: an object's, or a query of the bucket, `?…`. Signed by the headers alone; a body is held to its hash by whoever sends it. No request is sent twice by this client. */
  async #ask(key: string, init: RequestInit): Promise<Response> {
    const { S3_ENDPOINT, S3_BUCKET, S3_REGION, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY } = this.env;
    const client = new AwsClient({
      accessKeyId: S3_ACCESS_KEY_ID,
      secretAccessKey: S3_SECRET_ACCESS_KEY,
      service: "s3",
      region: S3_REGION,
      retries: 0,
    });
    const path = key.startsWith("?") ? key : key.split("/").map(encodeURIComponent).join("/");
    return client.fetch(`${S3_ENDPOINT.replace(/\/$/, "")}/${S3_BUCKET}/${path}`, init);
  }
}

async function refuseFailure(answer: Response, method: string): Promise<void> {
  if (answer.ok) return;
  const text = (await answer.text()).slice(0, ERROR_CHARS_MAX);
  throw new Error(`the S3 store answered ${method} with ${answer.status}: ${text}`);
}

const sizeOf = (answer: Response): number => Number(answer.headers.get("content-length") ?? 0);
