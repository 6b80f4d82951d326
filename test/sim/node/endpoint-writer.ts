// Writes the endpoint file and tells the gateway; writes that come together become one.
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { EndpointFile } from "./gateway.ts";
import type { Machine } from "./machine.ts";

export class EndpointWriter {
  /** The document that the file was last made of. */
  writtenFor: DesiredDocument | null = null;
  private isWriting = false;
  private readonly waiting: (() => void)[] = [];
  private readonly machine: Machine;
  private readonly guard: (act: () => void) => () => void;
  private readonly content: () => EndpointFile;

  constructor(machine: Machine, guard: (act: () => void) => () => void, content: () => EndpointFile) {
    this.machine = machine;
    this.guard = guard;
    this.content = content;
  }

  /** Each hears when a file written after its call is in place. */
  write(written: () => void): void {
    this.waiting.push(written);
    if (!this.isWriting) this.once();
  }

  private once(): void {
    const { world, disk, gateway } = this.machine;
    const told = this.waiting.splice(0);
    this.isWriting = true;
    const file = this.content();
    const madeOf = disk.desired;
    world.after(
      world.between(1, 3),
      this.guard(() => {
        disk.endpoints = file;
        gateway.load(file);
        this.writtenFor = madeOf;
        this.machine.touch();
        this.isWriting = false;
        for (const tell of told) tell();
        if (!this.isWriting && this.waiting.length > 0) this.once();
      }),
    );
  }
}
