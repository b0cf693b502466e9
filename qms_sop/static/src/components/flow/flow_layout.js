/**
 * Where the steps and choices of a procedure are drawn. Knows nothing of the
 * screen: it takes data and returns boxes and lines, in pixels.
 */

const SIZES = {
    step: {width: 140, height: 58},
    choice: {width: 112, height: 52},
    end: {width: 64, height: 28},
    // Keeps a place for a line that passes a layer
    bend: {width: 14, height: 0},
};
const GAP = {x: 12, y: 24};
const SWEEPS = 8;

/**
 * @typedef {{name: string, target: number, category: string|false, taken?: boolean}} Choice
 * @typedef {{number: number, name: string, choices: Choice[], state?: string,
 *     off_path?: boolean}} Step
 */

/**
 * The boxes and lines of a procedure, without places.
 *
 * @param {Step[]} flow as `qms.sop.document` and `qms.sop.run` give it; a target
 *     after the last step is the end
 * @returns {{nodes: Object[], edges: Object[]}} nodes in an order in which every
 *     edge leads forward
 */
export function buildGraph(flow) {
    const nodes = [];
    const edges = [];
    const nodeOf = (target) => (target > flow.length ? "end" : `step_${target}`);
    for (const step of flow) {
        const key = nodeOf(step.number);
        const done = step.state === "completed";
        nodes.push({
            key,
            kind: "step",
            step,
            done,
            muted: Boolean(step.off_path) && !done,
        });
        if (!step.choices.length) {
            edges.push({from: key, to: nodeOf(step.number + 1), taken: done});
        }
        step.choices.forEach((choice, index) => {
            const choiceKey = `${key}_choice_${index}`;
            const taken = Boolean(choice.taken);
            nodes.push({
                key: choiceKey,
                kind: "choice",
                choice,
                taken,
                muted: !taken && (done || Boolean(step.off_path)),
            });
            edges.push({from: key, to: choiceKey, taken});
            edges.push({from: choiceKey, to: nodeOf(choice.target), taken});
        });
    }
    if (edges.some(({to}) => to === "end")) {
        nodes.push({key: "end", kind: "end"});
    }
    return {nodes, edges};
}

/** Give every node the layer after the last one that leads to it. */
function assignLayers(nodes, edges) {
    const layerOf = Object.fromEntries(nodes.map(({key}) => [key, 0]));
    const rank = Object.fromEntries(nodes.map(({key}, index) => [key, index]));
    for (const {from, to} of edges.toSorted((a, b) => rank[a.from] - rank[b.from])) {
        layerOf[to] = Math.max(layerOf[to], layerOf[from] + 1);
    }
    return layerOf;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Place boxes on a line as near as can be to where each would like to be, in
 * their order and without touching (least squares, by pooling neighbours).
 */
function spread(boxes, wishes) {
    const offsets = [];
    boxes.forEach((box, index) => {
        const before = boxes[index - 1];
        offsets.push(
            before ? offsets[index - 1] + (before.width + box.width) / 2 + GAP.x : 0
        );
    });
    const pools = [];
    wishes.forEach((wish, index) => {
        pools.push({sum: wish - offsets[index], size: 1});
        while (pools.length > 1) {
            const [before, last] = pools.slice(-2);
            if (before.sum / before.size <= last.sum / last.size) {
                break;
            }
            pools.splice(-2, 2, {
                sum: before.sum + last.sum,
                size: before.size + last.size,
            });
        }
    });
    const starts = pools.flatMap(({sum, size}) => Array(size).fill(sum / size));
    boxes.forEach((box, index) => {
        box.x = starts[index] + offsets[index];
    });
}

/** Order each layer by where its neighbours are, then place it below them. */
function place(layers, linksOf) {
    for (const layer of layers) {
        spread(
            layer,
            layer.map(() => 0)
        );
    }
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
        const down = sweep % 2 === 0;
        for (const layer of down ? layers : layers.toReversed()) {
            const wishOf = new Map(
                layer.map((box) => {
                    const near = linksOf.get(box)[down ? "above" : "below"];
                    return [box, near.length ? mean(near.map(({x}) => x)) : box.x];
                })
            );
            layer.sort((a, b) => wishOf.get(a) - wishOf.get(b));
            spread(
                layer,
                layer.map((box) => wishOf.get(box))
            );
        }
    }
}

const line = (a, b) => {
    const middle = (a.bottom + b.top) / 2;
    return `M ${a.x} ${a.bottom} C ${a.x} ${middle} ${b.x} ${middle} ${b.x} ${b.top}`;
};

/**
 * Lay a procedure out from top to bottom, each step below all that lead to it.
 *
 * @param {Step[]} flow see {@link buildGraph}
 * @returns {{width: number, height: number, nodes: Object[], edges: Object[]}}
 *     nodes with `left`, `top`, `width` and `height`; edges with `path`, the
 *     commands of an SVG path
 */
export function layoutFlow(flow) {
    const {nodes, edges} = buildGraph(flow);
    if (!nodes.length) {
        return {width: 0, height: 0, nodes, edges};
    }
    const layerOf = assignLayers(nodes, edges);
    const layers = Array.from(
        {length: Math.max(...Object.values(layerOf)) + 1},
        () => []
    );
    const linksOf = new Map();
    const add = (box, layer) => {
        layers[layer].push(box);
        linksOf.set(box, {above: [], below: []});
        return box;
    };
    const boxOf = {};
    for (const node of nodes) {
        boxOf[node.key] = add({...node, ...SIZES[node.kind]}, layerOf[node.key]);
    }
    const chains = edges.map((edge) => {
        const chain = [boxOf[edge.from]];
        for (let layer = layerOf[edge.from] + 1; layer < layerOf[edge.to]; layer++) {
            chain.push(add({kind: "bend", ...SIZES.bend}, layer));
        }
        chain.push(boxOf[edge.to]);
        chain.slice(1).forEach((box, index) => {
            linksOf.get(chain[index]).below.push(box);
            linksOf.get(box).above.push(chain[index]);
        });
        return chain;
    });
    place(layers, linksOf);

    const boxes = layers.flat();
    const left = Math.min(...boxes.map(({x, width}) => x - width / 2));
    let top = 0;
    for (const layer of layers) {
        const height = Math.max(...layer.map((box) => box.height));
        for (const box of layer) {
            box.x = Math.round(box.x - left);
            box.top = top;
            // A line runs straight through a layer that it passes.
            box.bottom = top + (box.kind === "bend" ? height : box.height);
            box.left = Math.round(box.x - box.width / 2);
        }
        top += height + GAP.y;
    }
    return {
        width: Math.ceil(Math.max(...boxes.map(({x, width}) => x + width / 2))),
        height: top - GAP.y,
        nodes: boxes.filter(({kind}) => kind !== "bend"),
        edges: edges.map((edge, index) => ({
            ...edge,
            key: `${edge.from}-${edge.to}`,
            path: chains[index]
                .slice(1)
                .map((box, position) => {
                    const segment = line(chains[index][position], box);
                    return box.kind === "bend"
                        ? `${segment} L ${box.x} ${box.bottom}`
                        : segment;
                })
                .join(" "),
        })),
    };
}
