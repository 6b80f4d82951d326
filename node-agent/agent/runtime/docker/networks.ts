// One bridge network per team: containers of different teams cannot reach each other by their own addresses.
import type Docker from "dockerode";
import { LABEL, networkName } from "./labels.ts";
import { messageOf, statusOf } from "./failures.ts";

export class Networks {
  readonly #docker: Docker;
  readonly #known = new Map<string, Promise<void>>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** Once per team and start of the agent; callers that come together share it. */
  ensure(team: string): Promise<void> {
    const known = this.#known.get(team);
    if (known !== undefined) return known;
    const made = this.#make(team);
    this.#known.set(team, made);
    made.catch(() => this.#known.delete(team));
    return made;
  }

  /** After an Engine said that the network is gone. */
  forget(team: string): void {
    this.#known.delete(team);
  }

  /** Removes the team's network if nothing is attached; the nodes of one host share it, so an attached one stays. */
  async remove(team: string): Promise<void> {
    this.#known.delete(team);
    try {
      await this.#docker.getNetwork(networkName(team)).remove();
    } catch (error) {
      const inUse = /active endpoints/i.test(messageOf(error));
      if (!inUse && statusOf(error) !== 404) throw error;
    }
  }

  async #make(team: string): Promise<void> {
    const name = networkName(team);
    const found = await this.#docker.listNetworks({ filters: { name: [name] } });
    if (found.some(({ Name }) => Name === name)) return;
    try {
      await this.#docker.createNetwork({
        Name: name,
        CheckDuplicate: true,
        Driver: "bridge",
        Labels: { [LABEL.team]: team },
      });
    } catch (error) {
      if (statusOf(error) !== 409) throw error;
    }
  }
}
