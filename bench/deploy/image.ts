// The small local image that all sides of the comparison run: busybox's httpd, which answers who it is. Built through the Engine's API.
import { readFileSync } from "node:fs";
import type Docker from "dockerode";
import { pack } from "tar-stream";

export const REPOSITORY = "berth-bench-deploy";
export const PORT = 8080;
/** What each container may use, on every side of the comparison: limits are part of what a start costs. */
export const RESOURCES = { cpuMilli: 150, memoryBytes: 32 * 1024 * 1024, pids: 64 };

const DOCKERFILE = `FROM scratch
COPY busybox /bin/busybox
COPY run.sh /run.sh
COPY tag /tag
STOPSIGNAL SIGKILL
CMD ["/bin/busybox", "sh", "/run.sh"]
`;

/**
 * Says "<image's tag> <release's version> <instance>": Berth names its instances, elsewhere the container's hostname stands in.
 * It has nothing to finish when it is stopped, so that rounds need not wait for one another.
 */
const RUN = `/bin/busybox mkdir -p /www
/bin/busybox echo "$(/bin/busybox cat /tag) \${BERTH_VERSION:-0} \${BERTH_INSTANCE:-$(/bin/busybox hostname)}" > /www/index.html
exec /bin/busybox httpd -f -p ${PORT} -h /www
`;

/** What one answer said. */
export interface Answer {
  readonly tag: string;
  readonly version: number;
  readonly instance: string;
}

/** null where the body is not the app's (an error page, say). */
export function readAnswer(body: string): Answer | null {
  const [tag, version, instance, ...rest] = body.trim().split(" ");
  if (tag === undefined || instance === undefined || rest.length > 0 || !/^\d+$/.test(version ?? "")) return null;
  return { tag, version: Number(version), instance };
}

export function imageOf(tag: string): string {
  return `${REPOSITORY}:${tag}`;
}

export async function buildImage(docker: Docker, tag: string): Promise<void> {
  const context = pack();
  context.entry({ name: "Dockerfile" }, DOCKERFILE);
  context.entry({ name: "busybox", mode: 0o755 }, readFileSync(staticBusybox()));
  context.entry({ name: "run.sh", mode: 0o755 }, RUN);
  context.entry({ name: "tag" }, `${tag}\n`);
  context.finalize();
  const output = await docker.buildImage(context as unknown as NodeJS.ReadableStream, {
    t: imageOf(tag),
    rm: true,
    forcerm: true,
  });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(output, (error: Error | null, steps: readonly { error?: string }[]) => {
      const failed = error?.message ?? steps.find((step) => step.error !== undefined)?.error;
      if (failed === undefined) resolve();
      else reject(new Error(`building ${imageOf(tag)}: ${failed}`));
    });
  });
}

export async function removeImage(docker: Docker, tag: string): Promise<void> {
  await docker.getImage(imageOf(tag)).remove({ force: true });
}

/** Debian's busybox-static; a dynamically linked one would not run FROM scratch. */
function staticBusybox(): string {
  const path = process.env.BERTH_BENCH_BUSYBOX ?? "/bin/busybox";
  const bytes = readFileSync(path);
  if (bytes.includes("/lib64/ld-linux")) throw new Error(`${path} is linked dynamically; install busybox-static`);
  return path;
}
