/** The real command line with every command, each of which only parses its arguments. */
import { readdirSync } from 'node:fs';
import { Command } from 'commander';
import type { CommandModule } from '../../commands/main.ts';

export async function realProgram(): Promise<Command> {
  const made = new Command('llama-db')
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} });
  for (const file of readdirSync('commands').filter((name) => name.endsWith('.ts') && name !== 'main.ts')) {
    const module: CommandModule = await import(`../../commands/${file.slice(0, -'.ts'.length)}.ts`);
    module.register(made);
  }
  for (const command of made.commands) silence(command, made);
  return made;
}

function silence(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  if (command.commands.length === 0) command.action(() => undefined);
  for (const child of command.commands) silence(child, command);
}
