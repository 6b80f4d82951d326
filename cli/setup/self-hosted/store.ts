// The S3-compatible store, looked at before anything is made: that it answers, that the keys are right, and whether the bucket is there.
import { randomUUID } from "node:crypto";
import { AwsClient } from "aws4fetch";
import type { Settings } from "../../../self-hosted/install/layout.ts";
import { CommandFailure, EXIT } from "../../failure.ts";
import type { Secrets } from "./secrets.ts";

const ANSWER_WITHIN_MS = 10_000;
const ERROR_CHARS_MAX = 300;

export class BundleBucket {
  readonly #client: AwsClient;
  readonly #url: string;
  readonly #settings: Settings["s3"];

  constructor(s3: Settings["s3"], secrets: Secrets) {
    this.#settings = s3;
    this.#url = `${s3.endpoint}/${s3.bucket}`;
    this.#client = new AwsClient({
      accessKeyId: secrets.S3_ACCESS_KEY_ID ?? "",
      secretAccessKey: secrets.S3_SECRET_ACCESS_KEY ?? "",
      service: "s3",
      region: s3.region,
      retries: 0,
    });
  }

  async exists(): Promise<boolean> {
    const answer = await this.#ask("HEAD");
    if (answer.status === 404) return false;
    if (answer.status === 403 || answer.status === 401)
      throw new CommandFailure(
        `The S3 store refuses these keys for the bucket ${this.#settings.bucket} (${answer.status})`,
        EXIT.failed,
        "Check BERTH_S3_ACCESS_KEY_ID, BERTH_S3_SECRET_ACCESS_KEY and --s3-region.",
      );
    if (!answer.ok) throw await this.#failure(answer, "does not show");
    return true;
  }

  async create(): Promise<void> {
    const answer = await this.#ask("PUT");
    if (!answer.ok) throw await this.#failure(answer, "does not make");
    await answer.body?.cancel();
  }

  /** Writes, copies, reads, lists and deletes, as the platform does; what of it the key may not is said by its name. */
  async tryOut(): Promise<void> {
    const key = `uploads/setup-${randomUUID()}`;
    const { bucket } = this.#settings;
    const copied = { headers: { "x-amz-copy-source": `/${bucket}/${key}` } };
    const tries: readonly (readonly [right: string, method: string, path: string, init?: RequestInit])[] = [
      ["s3:PutObject", "PUT", `/${key}`, { body: "Berth tries whether it may write here." }],
      ["s3:PutObject, for copies,", "PUT", `/${key}-copy`, copied],
      ["s3:GetObject", "GET", `/${key}`],
      ["s3:ListBucket", "GET", `?list-type=2&prefix=${key}`],
      ["s3:DeleteObject", "DELETE", `/${key}-copy`],
      ["s3:DeleteObject", "DELETE", `/${key}`],
    ];
    for (const [right, method, path, init] of tries) {
      const answer = await this.#ask(method, path, init);
      if (answer.status === 403 || answer.status === 401)
        throw new CommandFailure(
          `The S3 store's key lacks ${right} in the bucket ${bucket} (${answer.status})`,
          EXIT.failed,
          "It needs s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket there.",
        );
      if (!answer.ok) throw await this.#failure(answer, `refuses ${method} in`);
      await answer.body?.cancel();
    }
  }

  async #ask(method: string, path = "", init: RequestInit = {}): Promise<Response> {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    try {
      return await this.#client.fetch(`${this.#url}${path}`, { ...init, method, signal });
    } catch (error) {
      const { cause, message } = error as Error;
      throw new CommandFailure(
        `The S3 store at ${this.#settings.endpoint} does not answer: ${cause instanceof Error ? cause.message : message}`,
        EXIT.unreachable,
        "Check --s3-endpoint.",
      );
    }
  }

  async #failure(answer: Response, does: string): Promise<CommandFailure> {
    const text = (await answer.text()).slice(0, ERROR_CHARS_MAX);
    return new CommandFailure(
      `The S3 store ${does} the bucket ${this.#settings.bucket}: ${answer.status} ${text}`,
      EXIT.failed,
    );
  }
}
