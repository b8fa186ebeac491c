import rotor from './index.cjs';

export const { configure, metrics, prometheus, events, use, install, presets } = rotor;
export default rotor;
