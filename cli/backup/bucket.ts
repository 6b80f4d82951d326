// An S3 bucket as a store: signed by aws4fetch, in parts where files are large, listed and deleted by name.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { Readable } from "node:stream";
import { AwsClient } from "aws4fetch";
import { XMLParser } from "fast-xml-parser";
import { z } from "zod";
import { CommandFailure, EXIT } from "../failure.ts";
import { fromEnvironment } from "./secrets.ts";
import type { Store } from "./store.ts";

/** S3 takes 10,000 parts of at least 5 MB: backups up to 640 GB. */
const PART_BYTES = 64 * 1024 ** 2;

interface Bucket {
  readonly client: AwsClient;
  /** With a slash at its end; objects are below it. */
  readonly url: string;
  readonly prefix: string;
}

/** to: `s3://bucket`, or with a prefix behind it. */
export function bucketStore(to: string): Store {
  const bucket = bucketOf(to);
  const keyOf = (name: string): string => `${bucket.prefix}${name}`;
  const named = async (keys: Promise<string[]>) => (await keys).map((key) => key.slice(bucket.prefix.length));
  const origin = `s3://${to.slice("s3://".length).split("/")[0]}`;
  return {
    where: (name) => `${origin}/${keyOf(name)}`,
    list: (folder) => named(list(bucket, keyOf(folder), true)),
    top: () => named(list(bucket, bucket.prefix, false)),
    put: (name, file) => upload(bucket, keyOf(name), file),
    get: async (name) => Readable.fromWeb((await ask(bucket, "GET", keyOf(name))).body as never),
    remove: async (name) => void (await ask(bucket, "DELETE", keyOf(name))),
  };
}

/** The endpoint's path names the bucket, which every S3-compatible store understands. */
function bucketOf(to: string): Bucket {
  const [, name, path = ""] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,62})(?:\/(.*))?$/.exec(to) ?? [];
  if (name === undefined)
    throw new CommandFailure(`${to} names no bucket`, EXIT.usage, "For example s3://my-backups/berth");
  const region = process.env.AWS_REGION ?? "us-east-1";
  const endpoint = process.env.AWS_ENDPOINT_URL ?? `https://s3.${region}.amazonaws.com`;
  const client = new AwsClient({
    accessKeyId: fromEnvironment("AWS_ACCESS_KEY_ID", "the store's access key"),
    secretAccessKey: fromEnvironment("AWS_SECRET_ACCESS_KEY", "the store's secret key"),
    ...(process.env.AWS_SESSION_TOKEN ? { sessionToken: process.env.AWS_SESSION_TOKEN } : {}),
    ...{ service: "s3", region, retries: 4 },
  });
  const prefix = path === "" || path.endsWith("/") ? path : `${path}/`;
  return { client, url: new URL(`${name}/`, endpoint.endsWith("/") ? endpoint : `${endpoint}/`).href, prefix };
}

async function upload(bucket: Bucket, key: string, file: string): Promise<void> {
  const { size } = statSync(file);
  const descriptor = openSync(file, "r");
  try {
    if (size <= PART_BYTES) {
      await ask(bucket, "PUT", key, { body: partOf(descriptor, 0, size) });
      return;
    }
    const { UploadId: id } = await read(
      z.object({ UploadId: z.string() }),
      await ask(bucket, "POST", `${key}?uploads`),
    );
    const upload = `uploadId=${encodeURIComponent(id)}`;
    try {
      const etags: string[] = [];
      for (let from = 0; from < size; from += PART_BYTES) {
        const body = partOf(descriptor, from, Math.min(PART_BYTES, size - from));
        const answer = await ask(bucket, "PUT", `${key}?partNumber=${etags.length + 1}&${upload}`, { body });
        etags.push(answer.headers.get("etag") ?? "");
      }
      const parts = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
      const body = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
      await ask(bucket, "POST", `${key}?${upload}`, { body });
    } catch (error) {
      await ask(bucket, "DELETE", `${key}?${upload}`).catch(() => undefined);
      throw error;
    }
  } finally {
    closeSync(descriptor);
  }
}

function partOf(descriptor: number, from: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let read = 0; read < length;) {
    const now = readSync(descriptor, bytes, read, length - read, from + read);
    if (now === 0) throw new Error("the backup became shorter while it was sent");
    read += now;
  }
  return bytes;
}

/** A list of one has no array around it. */
const Listed = z.object({
  Contents: z
    .union([
      z.array(z.object({ Key: z.coerce.string() })),
      z.object({ Key: z.coerce.string() }).transform((one) => [one]),
    ])
    .default([]),
  NextContinuationToken: z.coerce.string().optional(),
});

async function list(bucket: Bucket, prefix: string, recursive: boolean): Promise<string[]> {
  const keys: string[] = [];
  for (let token: string | undefined, first = true; first || token !== undefined; first = false) {
    const query = new URLSearchParams({
      ...{ "list-type": "2", prefix },
      ...(recursive ? {} : { delimiter: "/" }),
      ...(token ? { "continuation-token": token } : {}),
    });
    const listed: z.infer<typeof Listed> = await read(Listed, await ask(bucket, "GET", `?${query.toString()}`));
    keys.push(...listed.Contents.map(({ Key }) => Key));
    token = listed.NextContinuationToken;
  }
  return keys;
}

async function ask({ client, url }: Bucket, method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const answer = await client.fetch(`${url}${path}`, { method, ...init }).catch((error: unknown) => {
    throw new CommandFailure(
      `${new URL(url).origin} does not answer (${String(error)})`,
      EXIT.unreachable,
      "Check AWS_ENDPOINT_URL.",
    );
  });
  if (answer.ok) return answer;
  const text = await answer.text();
  const said = /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? "no reason given";
  throw new CommandFailure(
    `The store refused ${method} with ${answer.status} (${said})`,
    answer.status === 403 ? EXIT.signedOut : EXIT.failed,
    "Its key must be allowed to list the bucket, and to read, write and delete below the prefix.",
  );
}

/** The one element of the answer's document. */
async function read<Schema extends z.ZodType>(schema: Schema, answer: Response): Promise<z.infer<Schema>> {
  const parsed = new XMLParser({ parseTagValue: false }).parse(await answer.text()) as Record<string, unknown>;
  const [root] = Object.entries(parsed).flatMap(([name, value]) => (name.startsWith("?") ? [] : [value]));
  return schema.parse(root);
}
