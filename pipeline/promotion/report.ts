/** The answers of the gates for a terminal. */
import { wrapped } from '../../core/text.ts';
import type { GateAnswer } from './gates.ts';

const width = 80;

export function renderGates(
  answers: readonly GateAnswer[],
  names: { source: string; target: string },
): string {
  const closed = answers.filter(({ isOpen }) => !isOpen);
  const head =
    closed.length === 0
      ? `${names.source} -> ${names.target}: every gate is open.`
      : `${names.source} -> ${names.target}: ${closed.length} of ${answers.length} gates are closed.`;
  const lines = answers.flatMap(({ name, title, isOpen, says, opens }) => [
    wrapped(`${isOpen ? 'open  ' : 'CLOSED'} ${name}: ${title}`, width, 7),
    wrapped(`       ${says}`, width, 7),
    ...(opens === undefined ? [] : [`       $ ${opens}`]),
  ]);
  return `${[head, '', ...lines].join('\n')}\n`;
}
