import {
    Component,
    onWillStart,
    onWillUnmount,
    useEffect,
    useRef,
    useState,
} from "@odoo/owl";
import {loadBundle} from "@web/core/assets";

/**
 * A chart of months, which can also be read as a table.
 *
 * What is not known is a gap, never a zero.
 */
export class MonthChart extends Component {
    static template = "qms_incident.MonthChart";
    static props = {
        name: String,
        definition: {type: String, optional: true},
        // Of the months, from left to right
        labels: Array,
        // [{key, label, colour, values: (number | null)[]}], stacked
        series: Array,
        format: {type: Function, optional: true},
        // Between two lines of the axis, the smallest first; any when missing
        steps: {type: Array, optional: true},
        // Called with the index of a month and the key of a series
        onOpen: Function,
        slots: {type: Object, optional: true},
    };
    static defaultProps = {definition: "", format: String, steps: []};

    setup() {
        this.canvas = useRef("canvas");
        this.state = useState({table: false});
        this.chart = null;
        onWillStart(() => loadBundle("web.chartjs_lib"));
        useEffect(
            () => this.draw(),
            () => [this.props.labels, this.props.series, this.state.table]
        );
        onWillUnmount(() => this.chart?.destroy());
    }

    text(value) {
        return value === null ? "–" : this.props.format(value);
    }

    /** Return the distance of the lines of the axis, for at most five of them. */
    get step() {
        const {series, steps, labels} = this.props;
        const sums = labels.map((label, index) =>
            series.reduce((sum, {values}) => sum + (values[index] || 0), 0)
        );
        const most = Math.max(...sums, 0);
        return steps.find((one) => one * 5 >= most) || steps.at(-1);
    }

    draw() {
        this.chart?.destroy();
        this.chart = null;
        if (!this.canvas.el) {
            return;
        }
        const style = getComputedStyle(this.canvas.el);
        const line = style.getPropertyValue("--qms-line");
        const {labels, series, format} = this.props;
        const ticks = {color: style.color};
        const dropped = series.length < 2;
        this.chart = new Chart(this.canvas.el, {
            type: "bar",
            data: {
                labels,
                datasets: series.map((one) => ({
                    label: one.label,
                    data: one.values,
                    backgroundColor: one.colour,
                    maxBarThickness: 48,
                    borderRadius: 2,
                })),
            },
            options: {
                animation: false,
                maintainAspectRatio: false,
                onClick: (ev, [hit]) =>
                    hit && this.props.onOpen(hit.index, series[hit.datasetIndex].key),
                onHover: (ev, hits) => {
                    ev.native.target.style.cursor = hits.length ? "pointer" : "default";
                },
                plugins: {
                    legend: {
                        display: !dropped,
                        position: "bottom",
                        labels: {color: style.color, boxWidth: 12},
                    },
                    tooltip: {
                        callbacks: {
                            label: ({dataset, raw}) =>
                                `${dataset.label}: ${this.text(raw)}`,
                        },
                    },
                },
                scales: {
                    x: {stacked: true, ticks, grid: {display: false}},
                    y: {
                        stacked: true,
                        beginAtZero: true,
                        grid: {color: line},
                        border: {display: false},
                        ticks: {
                            ...ticks,
                            precision: 0,
                            stepSize: this.step,
                            maxTicksLimit: 6,
                            callback: (value) => format(value),
                        },
                    },
                },
            },
        });
    }
}
