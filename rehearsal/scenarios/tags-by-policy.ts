import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'tags-by-policy',
  title:
    'A tag that a policy puts on every resource stays, and is no difference to a plan that knows its name',
  environments: ['development', 'staging', 'production'],
  begins: 'deployed',
  async run(stage) {
    await stage.deployed({ change: (input) => Object.assign(input, { policyTags: ['CostCentre'] }) });
    const tagged = stage.azure.state.list().filter(({ body }) => body['tags'] !== undefined);
    for (const resource of tagged)
      resource.body = { ...resource.body, tags: { ...Object(resource.body['tags']), CostCentre: '4711' } };
    stage.check('the policy has tagged the servers and what is around them', tagged.length > 10);
    await stage.unchanged('the plan is empty with the tag');
    await stage.deployed({}, 'a deployment succeeds');
    stage.check(
      'the tag is everywhere it was',
      tagged.every(({ id }) => JSON.stringify(stage.azure.state.get(id)?.body['tags']).includes('4711')),
    );
  },
};
