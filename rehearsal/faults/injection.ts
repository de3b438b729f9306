/** Lets one fault happen to each operation of a deployment, once. */
import {
  type AzureRequest,
  type AzureResponse,
  type Interception,
  operationIdIn,
} from '../../local/azure/index.ts';
import { endsDeployment, type FaultKind } from './faults.ts';
import { type Operation, operationOf, polledOperation } from './operations.ts';

export class Injection {
  readonly #done = new Set<string>();
  /** What Azure gave an id to, for its polls. */
  readonly #started = new Map<string, Operation>();
  readonly #happened: Operation[] = [];
  #armed: { readonly fault: FaultKind; readonly stop: () => void } | undefined;

  constructor(
    /** Operations that it happens to. @default - all */
    readonly wanted: (operation: Operation) => boolean = () => true,
    /** Keys of operations that had it already, in an earlier run. @default - none */
    done: Iterable<string> = [],
  ) {
    this.#done = new Set(done);
  }

  /**
   * From now on the fault happens to every operation that has not had it; one that ends the deployment happens once.
   *
   * @param stop interrupts or kills Terraform
   */
  arm(fault: FaultKind, stop: () => void): void {
    this.#armed = { fault, stop };
    this.#happened.length = 0;
  }

  /** @returns the operations that it happened to since {@link arm} */
  disarm(): readonly Operation[] {
    this.#armed = undefined;
    return [...this.#happened];
  }

  /** For `intercept` of the local Azure. */
  readonly before = (request: AzureRequest): Interception => {
    const fault = this.#armed?.fault;
    const operation = operationOf(request);
    if (operation) return fault?.moment === 'start' ? this.#happen(operation) : undefined;
    const polled = this.#polled(request);
    return polled && fault?.moment === 'poll' ? this.#happen(polled) : undefined;
  };

  /** For `interceptAnswer` of the local Azure. */
  readonly after = (request: AzureRequest, answer: AzureResponse): Interception => {
    const moment = this.#armed?.fault.moment;
    const operation = operationOf(request);
    if (!operation) {
      const polled = this.#polled(request);
      return polled && moment === 'end' && hasEnded(answer) ? this.#happen(polled) : undefined;
    }
    if (answer.status >= 300) return undefined;
    const id = operationIdIn(answer.headers?.['azure-asyncoperation']);
    if (id !== undefined) this.#started.set(id, operation);
    // What is done at once has no middle: it has ended when it is answered.
    const now = moment === 'middle' || (moment === 'end' && id === undefined);
    return now ? this.#happen(operation) : undefined;
  };

  #polled(request: AzureRequest): Operation | undefined {
    const id = polledOperation(request);
    return id === undefined ? undefined : this.#started.get(id);
  }

  #happen(operation: Operation): Interception {
    if (!this.#armed || this.#done.has(operation.key) || !this.wanted(operation)) return undefined;
    const { fault, stop } = this.#armed;
    if (endsDeployment(fault)) {
      if (this.#happened.length > 0) return undefined;
      stop();
    }
    this.#done.add(operation.key);
    this.#happened.push(operation);
    switch (fault.effect) {
      case 'answer':
        return fault.answer?.(operation.onServer);
      // Terraform is asked to stop: what is on its way still arrives.
      case 'interrupt':
        return undefined;
      default:
        return 'drop';
    }
  }
}

function hasEnded({ body }: AzureResponse): boolean {
  const status =
    Buffer.isBuffer(body) || typeof body !== 'object' ? undefined : Reflect.get(body ?? {}, 'status');
  return status === 'Succeeded' || status === 'Failed';
}
