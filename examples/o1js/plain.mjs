// A program that proves all day, as anybody writes it: nothing here knows of Rotor.
//
//     npm install o1js rotor-wasm
//     node --require rotor-wasm/register plain.mjs 100
import { Field, verify, ZkProgram } from 'o1js';

const square = ZkProgram({
  name: 'square',
  publicInput: Field,
  publicOutput: Field,
  methods: {
    square: {
      privateInputs: [Field],
      async method(x, root) {
        root.mul(root).assertEquals(x);
        return { publicOutput: root.add(1) };
      },
    },
  },
});

const { verificationKey } = await square.compile();
for (let i = 1; i <= Number(process.argv[2] ?? 3); ++i) {
  const { proof } = await square.square(Field(i * i), Field(i));
  console.log(`proof ${i}: ${(await verify(proof, verificationKey)) ? 'verified' : 'WRONG'}`);
}
