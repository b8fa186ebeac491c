// The program that the examples prove with: the prover knows the root of a square, and says what comes after it.
import { Field, ZkProgram } from 'o1js';

export const square = ZkProgram({
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
