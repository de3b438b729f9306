/** Injects one fault into each operation of a deployment, once. */
import {
  type AzureRequest,
  type AzureResponse,
  type Interception,
  operationIdIn,
} from '../../local/azure/index.ts';
import { endsDeployment, type FaultKind } from './fault-kinds.ts';
import { type Operation, operationOf, polledOperation } from './operations.ts';

export class Injection {
  readonly #done = new Set<string>();
  /** Accepted operations by the id that clients poll. */
  readonly #started = new Map<string, Operation>();
  readonly #happened: Operation[] = [];
  #armed: { readonly fault: FaultKind; readonly stop: () => void } | undefined;

  constructor(
    /** Selects the operations. @default - all */
    readonly wanted: (operation: Operation) => boolean = () => true,
    /** Keys of operations that had the fault in an earlier run. @default - none */
    done: Iterable<string> = [],
  ) {
    this.#done = new Set(done);
  }

  /**
   * Injects the fault into every operation that has not had it yet. A fault that ends the deployment happens once.
   *
   * @param stop interrupts or kills Terraform
   */
  arm(fault: FaultKind, stop: () => void): void {
    this.#armed = { fault, stop };
    this.#happened.length = 0;
  }

  /** @returns the operations that had the fault since {@link arm} */
  disarm(): readonly Operation[] {
    this.#armed = undefined;
    return [...this.#happened];
  }

  /** The `intercept` of the local Azure. */
  readonly before = (request: AzureRequest): Interception => {
    const fault = this.#armed?.fault;
    const operation = operationOf(request);
    if (operation) return fault?.moment === 'start' ? this.#inject(operation) : undefined;
    const polled = this.#polled(request);
    return polled && fault?.moment === 'poll' ? this.#inject(polled) : undefined;
  };

  /** The `interceptAnswer` of the local Azure. */
  readonly after = (request: AzureRequest, answer: AzureResponse): Interception => {
    const moment = this.#armed?.fault.moment;
    const operation = operationOf(request);
    if (!operation) {
      const polled = this.#polled(request);
      return polled && moment === 'end' && hasEnded(answer) ? this.#inject(polled) : undefined;
    }
    if (answer.status >= 300) return undefined;
    const id = operationIdIn(answer.headers?.['azure-asyncoperation']);
    if (id !== undefined) this.#started.set(id, operation);
    // A synchronous operation has no middle: it has ended when Azure answers.
    const isMoment = moment === 'middle' || (moment === 'end' && id === undefined);
    return isMoment ? this.#inject(operation) : undefined;
  };

  #polled(request: AzureRequest): Operation | undefined {
    const id = polledOperation(request);
    return id === undefined ? undefined : this.#started.get(id);
  }

  #inject(operation: Operation): Interception {
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
      // Terraform was asked to stop. The answer in transit still arrives.
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
