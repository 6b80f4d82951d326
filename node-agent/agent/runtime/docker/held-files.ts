// A bundle's files for a container whose root is read-only: the Engine puts none into it, so they come to it as a volume that it cannot write to.
import { createReadStream } from "node:fs";
import type Docker from "dockerode";
import type { NodeId } from "../../../../contracts/ids.ts";
import { statusOf } from "./failures.ts";
import { LABEL } from "./labels.ts";

export interface HeldFiles {
  /** For the container's VolumesFrom. */
  readonly volumesFrom: string[];
  /** The volume goes with the last container that has it: with this one, where no other was made. */
  release(): Promise<void>;
}

export interface HeldFilesWanted {
  readonly node: NodeId;
  /** Of the container that holds them. */
  readonly name: string;
  readonly image: string;
  readonly archive: string;
  readonly folder: string;
}

/** A container that is never started, whose volume has the archive's files. One that was left by an agent which ended is replaced. */
export async function holdFiles(docker: Docker, wanted: HeldFilesWanted): Promise<HeldFiles> {
  const { node, name, image, archive, folder } = wanted;
  const remove = async (container: Docker.Container) => {
    await container.remove({ force: true, v: true }).catch((error: unknown) => {
      if (statusOf(error) !== 404) throw error;
    });
  };
  await remove(docker.getContainer(name));
  const container = await docker.createContainer({
    name,
    Image: image,
    // Of this node, and of no instance: what a dead agent left is swept.
    Labels: { [LABEL.node]: node },
    NetworkDisabled: true,
    HostConfig: { NetworkMode: "none", Mounts: [{ Type: "volume", Source: "", Target: folder }] },
  });
  try {
    await container.putArchive(createReadStream(archive), { path: folder });
  } catch (error) {
    await remove(container);
    throw error;
  }
  return { volumesFrom: [`${container.id}:ro`], release: () => remove(container) };
}
