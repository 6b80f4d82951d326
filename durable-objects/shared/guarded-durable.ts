// The one class on which itty-durable is used: native RPC, an allow-list of methods, and nothing answered before it is stored.
import { DurableObject } from "cloudflare:workers";
import { createDurable } from "itty-durable";

/** What of itty-durable is used. Its own types are untyped records, so this is the typed wrapper. */
interface IttyDurable {
  loadFromStorage(): Promise<void>;
  persist(): Promise<void>;
}
type IttyClass = new (state: DurableObjectState, env: object) => IttyDurable;

const Itty = createDurable({ autoPersist: false }) as unknown as IttyClass;
// itty-durable predates RPC and is a plain class. Under DurableObject's prototypes the platform takes RPC calls for it.
Object.setPrototypeOf(Itty, DurableObject);
Object.setPrototypeOf(Itty.prototype, DurableObject.prototype);

/**
 * The subclass's whole state is one snapshot under `snapshot`. Only the methods it names in `allowed` answer to RPC: every
 * other one, of itty-durable's and of its own, is hidden behind a property of the instance, which RPC never reaches.
 */
export abstract class GuardedDurable<Snapshot extends object> extends Itty {
  /** Stored by itty-durable, as a property of the object. */
  snapshot: Snapshot;

  constructor(state: DurableObjectState, initial: Snapshot, allowed: readonly string[]) {
    // No binding is handed on: itty-durable would wrap each in a proxy that can call any method of the objects behind it.
    super(state, {});
    this.snapshot = initial;
    hideAllBut(this, allowed);
    void state.blockConcurrencyWhile(() => this.loadFromStorage());
  }

  /** itty-durable's routes call any method by its name (`/do/call/destroy` wipes the object), so none of them is reachable. */
  fetch(): Response {
    return new Response(null, { status: 404 });
  }

  /** itty-durable's would delete everything. What this class stores is changed, never destroyed. */
  destroy(): never {
    throw new Error("not available");
  }

  /** The only way to change the state: stored before the caller can answer. */
  protected async store(next: Snapshot): Promise<void> {
    this.snapshot = next;
    await this.persist();
  }
}

function hideAllBut(object: object, allowed: readonly string[]): void {
  for (let prototype = Object.getPrototypeOf(object); ; prototype = Object.getPrototypeOf(prototype)) {
    if (prototype === null || prototype === DurableObject.prototype || prototype === Object.prototype) return;
    for (const name of Object.getOwnPropertyNames(prototype)) {
      if (name === "constructor" || name === "fetch" || allowed.includes(name) || Object.hasOwn(object, name)) continue;
      const value: unknown = Reflect.get(prototype, name, object);
      // Not enumerable, so that itty-durable does not store it with the state.
      Object.defineProperty(object, name, { value, enumerable: false, configurable: true, writable: false });
    }
  }
}
