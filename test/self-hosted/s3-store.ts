// An S3-compatible store in the test's own process. It holds requests to their signatures, and can refuse some methods, as to a key that lacks a right.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import S3rver from "s3rver";
import { isSigned, type SignedRequest } from "./s3-signature.ts";

export interface S3Store {
  readonly endpoint: string;
  /** Methods that its key may not use at present. */
  readonly refused: Set<string>;
  close(): Promise<void>;
}

/** The account that s3rver knows. */
export const S3_KEYS = { BERTH_S3_ACCESS_KEY_ID: "S3RVER", BERTH_S3_SECRET_ACCESS_KEY: "S3RVER" };
const ACCOUNT = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };

type Middleware = (
  context: SignedRequest & { status: number; body: string },
  next: () => Promise<void>,
) => Promise<void>;

export async function startS3Store(folder: string, bucket?: string): Promise<S3Store> {
  const directory = join(folder, "s3");
  mkdirSync(directory, { recursive: true });
  const configureBuckets = bucket === undefined ? [] : [{ name: bucket, configs: [] }];
  const store = new S3rver({ address: "127.0.0.1", port: 0, directory, silent: true, configureBuckets });
  const refused = new Set<string>();
  // A Koa application, which its types do not say.
  (store as unknown as { middleware: Middleware[] }).middleware.unshift(async (context, next) => {
    const isKnown = await isSigned(context, ACCOUNT);
    if (isKnown && !refused.has(context.method)) return next();
    context.status = 403;
    context.body = `<Error><Code>${isKnown ? "AccessDenied" : "SignatureDoesNotMatch"}</Code></Error>`;
  });
  const { port } = await store.run();
  return { endpoint: `http://127.0.0.1:${port}`, refused, close: () => store.close() };
}
