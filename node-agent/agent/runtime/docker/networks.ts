// One bridge network per team: containers of different teams cannot reach each other by their own addresses.
import type Docker from "dockerode";
import { LABEL, networkName } from "./labels.ts";
import { messageOf, statusOf } from "./failures.ts";

export class Networks {
  readonly #docker: Docker;
  readonly #known = new Map<string, Promise<string>>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** The network's id. Asked for once per team and start of the agent; callers that come together share it. */
  ensure(team: string): Promise<string> {
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
    for (const id of await this.#find(networkName(team))) await this.#drop(id);
  }

  /**
   * The Engine lets two networks have one name, and agents that share an Engine may make theirs at the same moment: the
   * oldest is everybody's, and whoever made a younger one takes it away again. Hence ids, not names, everywhere.
   */
  async #make(team: string): Promise<string> {
    const name = networkName(team);
    const [found] = await this.#find(name);
    if (found !== undefined) return found;
    const made = await this.#create(name, team);
    const [oldest] = await this.#find(name);
    if (oldest === undefined) throw new Error(`the network ${name} is gone again`);
    if (made !== null && made !== oldest) await this.#drop(made);
    return oldest;
  }

  /** Null where another agent was first and the Engine saw it. */
  async #create(name: string, team: string): Promise<string | null> {
    try {
      const labels = { [LABEL.team]: team };
      return (await this.#docker.createNetwork({ Name: name, CheckDuplicate: true, Driver: "bridge", Labels: labels }))
        .id;
    } catch (error) {
      if (statusOf(error) !== 409) throw error;
      return null;
    }
  }

  /** Ids of the networks of exactly that name, the oldest first. */
  async #find(name: string): Promise<string[]> {
    const found = await this.#docker.listNetworks({ filters: { name: [name] } });
    const age = ({ Created, Id }: Docker.NetworkInspectInfo): string => `${Created} ${Id}`;
    const same = found.filter(({ Name }) => Name === name).sort((a, b) => (age(a) < age(b) ? -1 : 1));
    return same.map(({ Id }) => Id);
  }

  async #drop(id: string): Promise<void> {
    try {
      await this.#docker.getNetwork(id).remove();
    } catch (error) {
      const inUse = /active endpoints/i.test(messageOf(error));
      if (!inUse && statusOf(error) !== 404) throw error;
    }
  }
}
