/** A Terraform expression, as the synthesized JSON holds it. */
export function expression(terraform: string): string {
  return `\${${terraform}}`;
}
