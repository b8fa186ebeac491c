// A recursive program: each step proves that the one before it was proved. o1js leaks some 6 MiB a step.
//
//     node --require rotor-wasm/register recursive.mjs 150
import { Field, SelfProof, verify, ZkProgram } from 'o1js';

const count = ZkProgram({
  name: 'count',
  publicOutput: Field,
  methods: {
    begin: {
      privateInputs: [],
      async method() {
        return { publicOutput: Field(0) };
      },
    },
    step: {
      privateInputs: [SelfProof],
      async method(earlier) {
        earlier.verify();
        return { publicOutput: earlier.publicOutput.add(1) };
      },
    },
  },
});

const { verificationKey } = await count.compile();
let { proof } = await count.begin();
for (let i = 1; i <= Number(process.argv[2] ?? 3); ++i) {
  ({ proof } = await count.step(proof));
  console.log(`step ${i}: ${proof.publicOutput.toString() === String(i) ? 'right' : 'WRONG'}`);
}
console.log((await verify(proof, verificationKey)) ? 'verified' : 'WRONG');
