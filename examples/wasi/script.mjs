// What a script in QuickJS does with files, for test_programs.py.
import * as std from 'qjs:std';
import * as os from 'qjs:os';

const numbers = Array.from({length: 1000}, (_, i) => i * i % 97).sort((a, b) => a - b);
os.mkdir('/made');
const file = std.open('/made/numbers.json', 'w+');
file.puts(JSON.stringify(numbers));
file.seek(0, std.SEEK_SET);
const back = JSON.parse(file.readAsString());
file.close();
console.log(back.length, back[0], back[999], back.reduce((sum, n) => sum + n, 0));
console.log(os.readdir('/made')[0].filter(name => !name.startsWith('.')).join());
os.rename('/made/numbers.json', '/made/moved.json');
console.log(os.stat('/made/moved.json')[0].size, os.stat('/made/numbers.json')[1] !== 0);
console.log(os.open('/../etc/passwd', os.O_RDONLY) < 0, std.open('/made/none', 'r'));
console.log(scriptArgs.slice(1).join('|'), /(\d+)-(?<word>\w+)/u.exec('x 12-añb').groups.word, 2n ** 70n);
