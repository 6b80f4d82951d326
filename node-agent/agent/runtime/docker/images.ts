// From a reference to something the Engine can create from, pinned by digest. What is here already is not pulled again.
import type Docker from "dockerode";
import { parseAll } from "@swimlane/docker-reference";
import type { PullCredential } from "../../link/asks.ts";
import { type OnProgress, type Prepared, StartFailed } from "../runtime.ts";
import { messageOf, pullFailure, statusOf } from "./failures.ts";

/** A registry that does not name a digest within this time is passed over when the image is here already. */
const DISTRIBUTION_TIMEOUT_MS = 5_000;

export interface ImageRequest {
  readonly reference: string;
  readonly digest: string | null;
  readonly credential: PullCredential | null;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

type Image = Extract<Prepared, { kind: "image" }>;
type Inspected = Docker.ImageInspectInfo;

export class Images {
  readonly #docker: Docker;
  readonly #platform: string;
  readonly #stallMs: number;

  constructor(docker: Docker, platform: string, stallMs: number) {
    this.#docker = docker;
    this.#platform = platform;
    this.#stallMs = stallMs;
  }

  async prepare(request: ImageRequest): Promise<Image> {
    return request.digest === null ? this.#resolve(request) : this.#pinned(request, request.digest);
  }

  /** A digest is a registry's, or the id of an image that was only ever here. */
  async #pinned(request: ImageRequest, digest: string): Promise<Image> {
    const byDigest = `${repositoryOf(request.reference)}@${digest}`;
    const here = (await this.#inspect(byDigest)) ?? (await this.#inspect(digest));
    if (here !== null) return this.#checked(request, here, digest);
    await this.#pull(request, byDigest);
    return this.#afterPull(request, byDigest, digest);
  }

  async #resolve(request: ImageRequest): Promise<Image> {
    const { reference } = request;
    const here = await this.#inspect(reference);
    const known = here === null ? null : registryDigest(here, reference);
    if (here !== null && known === null) return this.#checked(request, here, here.Id);
    const repository = repositoryOf(reference);
    const wanted = digestOf(reference) ?? (await this.#askRegistry(request, here !== null));
    if (here !== null && (wanted === null || wanted === known)) return this.#checked(request, here, known ?? here.Id);
    const target = wanted === null ? reference : `${repository}@${wanted}`;
    await this.#pull(request, target);
    return this.#afterPull(request, target, wanted);
  }

  async #afterPull(request: ImageRequest, target: string, digest: string | null): Promise<Image> {
    const pulled = await this.#inspect(target);
    if (pulled === null) throw new StartFailed("image_pull_failed", `${target}: pulled, but not here`);
    return this.#checked(request, pulled, digest ?? registryDigest(pulled, target) ?? pulled.Id);
  }

  #checked({ reference }: ImageRequest, image: Inspected, digest: string): Image {
    const platform = `${image.Os}/${image.Architecture}`;
    if (platform !== this.#platform) {
      throw new StartFailed("image_wrong_platform", `${reference} is for ${platform}; this node is ${this.#platform}`);
    }
    return { kind: "image", image: image.Id, digest };
  }

  async #inspect(name: string): Promise<Inspected | null> {
    try {
      return await this.#docker.getImage(name).inspect();
    } catch (error) {
      if (statusOf(error) === 404 || statusOf(error) === 400) return null;
      throw new StartFailed("image_pull_failed", messageOf(error));
    }
  }

  /** The digest that the registry has for the tag now; null when it does not say and the image is here, or may yet be pulled by its tag. */
  async #askRegistry({ reference, credential }: ImageRequest, isHere: boolean): Promise<string | null> {
    const asked = this.#docker.getImage(qualified(reference)).distribution({ authconfig: authconfig(credential) });
    asked.catch(() => undefined);
    try {
      return (await within(asked, DISTRIBUTION_TIMEOUT_MS)).Descriptor.digest;
    } catch (error) {
      const failed = pullFailure(reference, error);
      if (isHere || failed.failure.code === "image_pull_failed") return null;
      throw failed;
    }
  }

  async #pull({ reference, credential, onProgress, signal }: ImageRequest, target: string): Promise<void> {
    const stall = new AbortController();
    const abortSignal = AbortSignal.any([signal, stall.signal]);
    let timer = setTimeout(() => stall.abort(), this.#stallMs);
    const progress = layerProgress(onProgress);
    try {
      const stream = await this.#docker.pull(target, { authconfig: authconfig(credential), abortSignal });
      await new Promise<void>((resolve, reject) => {
        this.#docker.modem.followProgress(
          stream,
          (error: Error | null) => (error === null ? resolve() : reject(error)),
          (event: PullEvent) => {
            clearTimeout(timer);
            timer = setTimeout(() => stall.abort(), this.#stallMs);
            progress(event);
          },
        );
      });
    } catch (error) {
      if (stall.signal.aborted)
        throw new StartFailed("image_pull_failed", `${reference}: no progress for ${this.#stallMs} ms`);
      throw pullFailure(reference, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

interface PullEvent {
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Sums what each layer reported last; the total grows while layers are discovered. */
function layerProgress(onProgress: OnProgress): (event: PullEvent) => void {
  const layers = new Map<string, { current: number; total: number }>();
  return ({ id, progressDetail }) => {
    const { current, total } = progressDetail ?? {};
    if (id === undefined || current === undefined || total === undefined || total <= 0) return;
    layers.set(id, { current: Math.min(current, total), total });
    let done = 0;
    let all = 0;
    for (const layer of layers.values()) {
      done += layer.current;
      all += layer.total;
    }
    onProgress(done, all);
  };
}

function authconfig(credential: PullCredential | null) {
  if (credential === null) return undefined;
  const { username, password, registry } = credential;
  return { username, password, serveraddress: registry };
}

function repositoryOf(reference: string): string {
  return parseAll(reference).repositoryUrl;
}

function digestOf(reference: string): string | null {
  return parseAll(reference).digest ?? null;
}

/** With its registry and a tag, as the distribution endpoint wants it. */
function qualified(reference: string): string {
  const { repositoryUrl, tag, digest } = parseAll(reference);
  return digest === undefined ? `${repositoryUrl}:${tag ?? "latest"}` : `${repositoryUrl}@${digest}`;
}

/** The registry's digest of a local image under this repository, if it has one. */
function registryDigest(image: Inspected, reference: string): string | null {
  const repository = repositoryOf(reference);
  for (const known of image.RepoDigests ?? []) {
    if (repositoryOf(known) === repository) return digestOf(known);
  }
  return null;
}

async function within<Value>(work: Promise<Value>, ms: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
