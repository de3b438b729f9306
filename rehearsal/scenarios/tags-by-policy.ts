import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'tags-by-policy',
  title: 'A tag that a policy adds to every resource stays, and a plan that knows its name is empty',
  needs: [],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    await sandbox.assertDeploys({ change: (input) => Object.assign(input, { policyTags: ['CostCentre'] }) });
    const tagged = sandbox.azure.state.list().filter(({ body }) => body['tags'] !== undefined);
    for (const resource of tagged)
      resource.body = { ...resource.body, tags: { ...Object(resource.body['tags']), CostCentre: '4711' } };
    sandbox.check('the policy has tagged more than ten resources', tagged.length > 10);
    await sandbox.assertEmptyPlan('with the tag, the plan is empty');
    await sandbox.assertDeploys({}, 'a deployment succeeds');
    sandbox.check(
      'every tagged resource still has the tag',
      tagged.every(({ id }) => JSON.stringify(sandbox.azure.state.get(id)?.body['tags']).includes('4711')),
    );
  },
};
